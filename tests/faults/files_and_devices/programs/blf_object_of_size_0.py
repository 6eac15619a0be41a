"""A BLF of 5 messages, one of whose objects has size 0, gives messages for ever.

Right: at most those, then an error.
"""

import struct
import tempfile
import zlib
from pathlib import Path

import can
from fault_files import read
from fault_programs import expect

from rxstream.devices.can import Can

path = Path(tempfile.mkdtemp()) / "a.blf"
with can.BLFWriter(path) as writer:
    for i in range(5):
        message = can.Message(
            timestamp=1.7e9 + i, arbitration_id=i, data=bytes(8), is_extended_id=False
        )
        writer.on_message_received(message)
raw = path.read_bytes()
size = struct.unpack_from("<L", raw, 144 + 8)[0]
inner = bytearray(zlib.decompress(raw[144 + 32 : 144 + size]))
at = -1
for _ in range(3):
    at = inner.index(b"LOBJ", at + 1)
struct.pack_into("<L", inner, at + 8, 0)
packed = zlib.compress(bytes(inner))
container = struct.pack("<4sHHLL", b"LOBJ", 16, 1, 32 + len(packed), 10)
container += struct.pack("<H6xL4x", 2, len(inner)) + packed
path.write_bytes(raw[:144] + container + bytes(len(packed) % 4))
found = read(Can(path), 1.0)
expect(len(found.data) <= 5 and found.error, f"{len(found.data)} messages, {found.error}")
