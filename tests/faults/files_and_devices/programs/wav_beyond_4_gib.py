"""A WAV that grows beyond 4 GiB lies about its length; readers lose what is behind.

Right: every sample can be read again, as RF64 from 4 GiB on, or the sink raises. Writes 4.6 GB.
"""

import tempfile
from pathlib import Path

import numpy as np
import soundfile
from fault_programs import expect

from rxstream import Chunk, StreamInfo
from rxstream.sinks import wav

with tempfile.TemporaryDirectory() as folder:
    path, n, total, start = Path(folder) / "a.wav", 1 << 24, 0, 0
    info = StreamInfo("audio", 48_000.0, (4,), np.dtype("float32"), "FS")
    data = np.zeros((n, 4), np.float32)
    try:
        with wav(path) as sink:
            for _ in range(17):
                chunk = Chunk.regular(data, info, start=start, index=total)
                sink.on_next(chunk)
                start, total = chunk.end, total + n
        frames, refused = soundfile.info(path).frames, sink.error is not None
    except Exception:
        frames, refused = 0, True
    size = path.stat().st_size
expect(refused or frames == total, f"wrote {total}; {frames} found in {size} B")
