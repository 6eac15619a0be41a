"""A database of several buses in which two messages have one identifier: all decode as the last.

Right: by the bus that a message came from, or an error at opening that names the identifier.
"""

import numpy as np
from cantools.database.can import Database, Message, Signal
from fault_files import decoded, row
from fault_programs import expect

from rxstream.errors import RxStreamError

one = Message(0x100, "Steering", 2, [Signal("Angle", 0, 16)], bus_name="Motor")
two = Message(0x100, "Seat", 2, [Signal("Height", 0, 8)], bus_name="Comfort")
rows = np.concatenate([row(0x100, bytes(2)), row(0x100, bytes(2))])
rows["channel"] = 0, 1
try:
    out = decoded(rows, Database(messages=[one, two]))
except RxStreamError as error:
    expect("0x100" in str(error), f"refused: {error}")
names = [out.info.extra["messages"][number] for number in out.data["message"]]
expect(len(set(names)) == 2, names)
