"""After a full disk a FLAC file claims 9.2e18 frames.

Right: as many as can be read.
"""

import resource
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
from fault_programs import expect

from rxstream import Chunk, StreamInfo, sinks

SIZE = 300_000  # [B]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, SIZE))
info = StreamInfo("mic", 48_000.0, (1,), np.dtype(np.int16))
path = Path(tempfile.mkdtemp()) / "a.flac"
rng = np.random.default_rng(0)
with suppress(Exception), sinks.wav(path) as sink:
    for k in range(50):
        data = rng.integers(-3000, 3000, (4800, 1)).astype(np.int16)
        sink.on_next(Chunk.regular(data, info, start=k * 100_000_000, index=4800 * k))
read = -1
with soundfile.SoundFile(path) as file:
    claimed = file.frames
    with suppress(soundfile.LibsndfileError):
        read = len(file.read(10_000_000))
expect(claimed == read, f"{claimed} frames claimed, {read} readable")
