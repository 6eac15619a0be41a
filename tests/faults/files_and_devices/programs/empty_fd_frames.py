"""CAN FD frames without data come back from .asc as remote frames, also those `can_log` wrote.

Right: the flags that were written; CAN FD has no remote frames.
"""

import tempfile
from pathlib import Path

import numpy as np
from fault_files import read
from fault_programs import expect

from rxstream import Chunk
from rxstream.devices.can import CAN_DTYPE, Can, CanFlag
from rxstream.sinks import can_log

path = Path(tempfile.mkdtemp()) / "a.asc"
rows = np.zeros(2, CAN_DTYPE)
rows["arbitration_id"], rows["flags"], rows["dlc"] = 0x123, CanFlag.FD | CanFlag.RX, (0, 1)
start = 1_700_000_000_000_000_000
with can_log(path) as sink:
    info = Can("x", interface="virtual").info
    sink.on_next(Chunk.stamped(rows, [start, start + 100_000_000], info))
flags = [CanFlag(int(row["flags"])) for row in read(Can(path)).data]
expect(len(flags) == 2 and not any(f & CanFlag.REMOTE for f in flags), flags)
