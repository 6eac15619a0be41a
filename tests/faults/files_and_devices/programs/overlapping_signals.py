"""A DBC in which two signals overlap is refused whole, without a way out in the message.

Right: decode it, or name the remedy, cantools.database.load_file(path, strict=False).
"""

from fault_files import decoded, row
from fault_programs import expect

dbc = (
    'VERSION ""\nBO_ 100 State: 1 X\n SG_ All : 0|8@1+ (1,0) [0|0] "" X\n'
    ' SG_ Low : 0|1@1+ (1,0) [0|0] "" X\n SG_ High : 7|1@1+ (1,0) [0|0] "" X\n'
)
try:
    out = decoded(row(100, b"\x81"), dbc).data
    seen = [float(out[name][0]) for name in ("All", "Low", "High")]
    right = seen == [129, 1, 1]
except Exception as error:
    right, seen = "strict=False" in str(error), repr(error)[:200]
expect(right, seen)
