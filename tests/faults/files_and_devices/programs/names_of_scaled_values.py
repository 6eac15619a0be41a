"""The names of values are those of raw numbers, but the samples are scaled.

Right: a field's choices say what that field's values mean: {87.0: "Error", 87.5: "NotAvailable"}.
"""

from fault_files import decoded, row
from fault_programs import expect

dbc = (
    'VERSION ""\nBO_ 100 M: 1 X\n SG_ Temp : 0|8@1+ (0.5,-40) [-40|85] "degC" X\n'
    'VAL_ 100 Temp 254 "Error" 255 "NotAvailable" ;\n'
)
chunk = decoded(row(100, b"\xff"), dbc)
value, names = float(chunk.data["Temp"][0]), chunk.info.extra["choices"]["Temp"]
expect(names.get(value) == "NotAvailable", f"value {value}, names {names}")
