"""A BLF or ASC that is cut off completes as if it were whole.

Right: what is there, then a fault or an error, as for .gz and .db; a line of ASC with fewer bytes
than its length says is no message.
"""

import random
import tempfile
from pathlib import Path

import can
from fault_files import read_can
from fault_programs import expect

rng, silent = random.Random(0), []
for kind in ("blf", "asc"):
    path = Path(tempfile.mkdtemp()) / f"a.{kind}"
    with can.Logger(path) as logger:
        for i in range(8000):
            data = bytes([255]) * 3 + rng.randbytes(5)
            message = can.Message(
                timestamp=1.7e9 + i / 1000, arbitration_id=i % 2048, is_extended_id=False, data=data
            )
            logger.on_message_received(message)
    cut = path.read_bytes()
    cut = cut[: int(len(cut) * 0.6)]
    if kind == "asc":  # within a message
        cut = cut[: cut.rindex(b"FF FF FF") + 5]
    found = read_can(cut, kind)
    if not found.faults and not found.error:
        silent.append((kind, len(found.data)))
expect(not silent, f"nothing said: {silent}")
