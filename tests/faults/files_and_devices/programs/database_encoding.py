"""A database in UTF-8 gives garbled units and names of values; with a BOM it does not open.

Right: bytes that are valid UTF-8, with or without BOM, are UTF-8; others are cp1252.
"""

import tempfile
from pathlib import Path

from fault_files import decoded, row
from fault_programs import expect

text = (
    'VERSION ""\nBO_ 100 Oven: 8 X\n SG_ Temp : 0|8@1+ (1,0) [0|0] "°C" X\n'
    'VAL_ 100 Temp 0 "kühl" 1 "heiß" ;\n'
)
seen = {}
for encoding in ("cp1252", "utf-8", "utf-8-sig"):
    path = Path(tempfile.mkdtemp()) / "a.dbc"
    path.write_text(text, encoding=encoding)
    try:
        extra = decoded(row(100, bytes(8)), path).info.extra
        seen[encoding] = extra["units"]["Temp"], extra["choices"]["Temp"][0]
    except Exception as error:
        seen[encoding] = repr(error)[:100]
expect(all(found == ("°C", "kühl") for found in seen.values()), seen)
