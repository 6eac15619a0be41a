"""Error frames in a candump log become data frames of identifier 4, 2, 1.

Right: bit 29 of the identifier (CAN_ERR_FLAG of linux/can.h) means an error frame, whatever its
class; a live socketcan bus gives exactly that.
"""

from fault_files import read_can
from fault_programs import expect

from rxstream.devices.can import CanFlag

found = read_can(
    "(1700000000.000000) can0 123#0102\n"
    "(1700000000.010000) can0 20000004#0008000000000000\n"
    "(1700000000.020000) can0 20000002#1900000000000000\n"
    "(1700000000.030000) can0 20000088#0000080000000000\n",
    "log",
)
errors = [bool(row["flags"] & CanFlag.ERROR) for row in found.data]
expect(errors == [False, True, True, True], f"error frames: {errors}")
