"""Two recordings joined end to end: the second one gets times 1 ns apart, unreported.

Right: its own times behind the first after a gap, as `Can` does for logs that go back; or a fault.
A frame stamped hours ahead must not pin all that follow to its time either.
"""

import tempfile
from pathlib import Path

from fault_files import ffmpeg, read_video
from fault_programs import expect

folder = Path(tempfile.mkdtemp())


def part(name, duration, offset):
    ffmpeg(
        "-f", "lavfi", "-i", f"testsrc=size=128x96:rate=25:duration={duration}", "-c:v", "libx264",
        "-bf", 0, "-pix_fmt", "yuv420p", "-output_ts_offset", offset, folder / name,
    )  # fmt: skip
    return (folder / name).read_bytes()


def look(data):
    path = folder / "joined.ts"
    path.write_bytes(data)
    found = read_video(path)
    return len(found.data), int((found.steps < 1e-6).sum())


seen = {
    "the same two seconds twice": look(part("a.ts", 2, 0) * 2),
    "0.2 s stamped 9800 s ahead": look(
        part("a.ts", 2, 0) + part("b.ts", 0.2, 9800) + part("c.ts", 2, 2.2)
    ),
}
expect(
    all(frames > 50 and not tiny for frames, tiny in seen.values()),
    f"frames, steps of less than 1 us: {seen}",
)
