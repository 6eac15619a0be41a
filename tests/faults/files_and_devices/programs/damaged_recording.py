"""A recording with one damaged stretch is given only up to it, and reported as "cut off".

Right: all frames that can be decoded, with a gap where some could not, as a loop gives them that
reads on after a failed read.
"""

import tempfile
from pathlib import Path

import cv2
from fault_files import ffmpeg, read_video
from fault_programs import expect

path = Path(tempfile.mkdtemp()) / "a.ts"
ffmpeg(
    "-f", "lavfi", "-i", "testsrc=size=128x96:rate=25:duration=4", "-c:v", "libx264", "-g", 50,
    "-bf", 2, "-pix_fmt", "yuv420p", path,
)  # fmt: skip
data = bytearray(path.read_bytes())
middle = len(data) // 2
data[middle : middle + 3000] = bytes(3000)
path.write_bytes(data)

capture, plain, failed = cv2.VideoCapture(str(path)), 0, 0
while failed < 50:
    if capture.read()[0]:
        plain += 1
    else:
        failed += 1
found = read_video(path)
expect(len(found.data) >= plain > 50, f"{len(found.data)} of {plain} frames, {found.faults}")
