"""Whole files are reported as "cut off or damaged": edit lists, longer sound, a late start.

Right: no fault where ffprobe decodes exactly as many frames.
"""

import tempfile
from pathlib import Path

from fault_files import ffmpeg, frames_in, read_video
from fault_programs import expect

folder = Path(tempfile.mkdtemp())
frames = ["-f", "lavfi", "-i", "testsrc=size=128x96:rate=25:duration=4"]
sound = ["-f", "lavfi", "-i", "sine=d=8"]
encoder = ["-c:v", "libx264", "-g", 250, "-pix_fmt", "yuv420p"]
ffmpeg(*frames, *encoder, folder / "whole.mp4")
ffmpeg("-ss", 1.2, "-i", folder / "whole.mp4", "-c", "copy", folder / "trimmed.mp4")
ffmpeg(*frames, *sound, *encoder, "-c:a", "aac", folder / "sound_longer.mkv")
ffmpeg(*frames, *sound, *encoder, "-c:a", "aac", folder / "sound_longer.ts")
ffmpeg(*frames, *encoder, "-output_ts_offset", 5, folder / "from_5_s_on.mkv")
wrong = {}
for path in sorted(folder.iterdir()):
    found = read_video(path)
    if found.faults and len(found.data) == frames_in(path):
        wrong[path.name] = found.faults[0][:60]
expect(not wrong, wrong)
