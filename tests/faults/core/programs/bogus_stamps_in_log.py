"""Garbled times in a CAN log (far in the future, NaN) squash all later ones 1 ns apart.

Right: times that increase as they were written; what cannot be true is refused or reported.
"""

import tempfile
from pathlib import Path

import numpy as np
from fault_programs import expect

from rxstream import Device
from rxstream.devices.can import Can

path = Path(tempfile.mkdtemp()) / "a.log"
stamps = (1000.0, 1000.1, 9e9, 1000.2, 1000.3, "nan", 1e11, 1e11, 1000.4)
path.write_text("".join(f"({stamp}) can0 123#01\n" for stamp in stamps))
got, device = [], Device(Can(path))
device.subscribe(got.append)
device.open()
device.wait(5)
device.close()
times = np.concatenate([chunk.time for chunk in got]) / 1e9
steps = np.diff(times)
right = (steps > 0.001).all() and times[0] > 0 and times[-1] < 1001
expect(right, f"times [s]: {times.tolist()}")
