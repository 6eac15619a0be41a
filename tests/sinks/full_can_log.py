"""Write messages until the disk is full (here: files may not be larger); say what came of it."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np

from rxstream import Chunk
from rxstream.devices.can import CAN_DTYPE, Can
from rxstream.sinks import can_log

LIMIT = 500_000  # [bytes]
COUNT = 10_000
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
info = Can("x", interface="virtual").info
rng = np.random.default_rng(0)
sink, sent, error = can_log(path), 0, None
while error is None and sent < 100 * COUNT:
    rows = np.zeros(COUNT, CAN_DTYPE)
    rows["dlc"], rows["flags"] = 8, 64
    rows["data"][:, :8] = rng.integers(256, size=(COUNT, 8))
    times = 1_700_000_000_000_000_000 + (sent + np.arange(COUNT)) * 1_000_000
    try:
        sink.on_next(Chunk.stamped(rows, times, info))
    except OSError as found:
        error = found
    sent += COUNT
files = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
print(
    json.dumps(
        {
            "error": str(error), "sent": sent, "samples": sink.samples, "closed": sink.closed,
            "descriptors": sum(file.startswith(str(path)) for file in files),
        }
    )
)  # fmt: skip
