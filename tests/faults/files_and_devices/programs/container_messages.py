"""AUTOSAR containers (a CAN FD frame with several PDUs): none of their signals exists.

Right: the signals of the PDUs inside, here Speed, or an error at opening; cantools decodes them.
"""

from cantools.database.can import Database, Message, Signal
from fault_files import decoded, row
from fault_programs import expect

from rxstream.devices.can import CanFlag
from rxstream.errors import RxStreamError

inside = Message(
    frame_id=1, name="Inner", length=2, signals=[Signal("Speed", 0, 16)], header_id=0x0A0B0C,
    is_fd=True,
)  # fmt: skip
outer = Message(
    frame_id=0x66, name="Outer", length=64, signals=[], contained_messages=[inside],
    header_byte_order="big_endian", is_fd=True,
)  # fmt: skip
message = row(0x66, bytes([0x0A, 0x0B, 0x0C, 2, 7, 0]), CanFlag.FD)
try:
    out = decoded(message, Database(messages=[outer])).data
except RxStreamError as error:
    expect(True, f"refused: {error}")
expect("Speed" in out.dtype.names and out["Speed"][0] == 7, out.dtype.names)
