"""Write frames until the disk is full (here: files may not be larger); say what came of it."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np

from rxstream import Chunk, StreamInfo
from rxstream.sinks.video import video

LIMIT = 1_000_000  # [bytes]
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
info = StreamInfo("cam", 50.0, (96, 128, 3), np.dtype(np.uint8))
rng = np.random.default_rng(0)
sink, sent, error = video(path), 0, None
while error is None and sent < 500:
    data = rng.integers(0, 255, (1, *info.shape), np.uint8)
    try:
        sink.on_next(Chunk.regular(data, info, start=sent * 20_000_000, index=sent))
    except OSError as found:
        error = found
    sent += 1
files = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
print(
    json.dumps(
        {
            "error": str(error), "sent": sent, "samples": sink.samples, "closed": sink.closed,
            "descriptors": sum(file.startswith(str(path)) for file in files),
        }
    )
)  # fmt: skip
