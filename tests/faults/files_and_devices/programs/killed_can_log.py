"""A program that is killed while it logs to .blf leaves a file of 0 bytes.

Right: all but the last second or so is on disk, as with .db; loggers in cars lose their power every
day.
"""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from fault_files import read
from fault_programs import expect, pause

from rxstream import Chunk
from rxstream.devices.can import CAN_DTYPE, Can
from rxstream.sinks import can_log

ALL = 1500  # 15 s of a bus with 100 messages a second


def child(path):
    """Write ten times as fast as that bus, then wait to be killed."""
    sink, info = can_log(path), Can("x", interface="virtual").info
    for k in range(ALL // 5):
        rows = np.zeros(5, CAN_DTYPE)
        rows["arbitration_id"], rows["dlc"], rows["flags"] = range(5), 8, 64
        start = 1_700_000_000_000_000_000 + k * 50_000_000
        sink.on_next(Chunk.stamped(rows, start + np.arange(5) * 10_000_000, info))
        pause(0.005)
    print("written", flush=True)
    pause(60)


def left(kind):
    path = Path(tempfile.mkdtemp()) / f"a.{kind}"
    with subprocess.Popen(
        [sys.executable, __file__, path], stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
    return len(read(Can(path)).data)


if len(sys.argv) > 1:
    child(Path(sys.argv[1]))
else:
    found = {kind: left(kind) for kind in ("blf", "db")}
    expect(min(found.values()) >= ALL - 200, f"of {ALL} messages: {found}")
