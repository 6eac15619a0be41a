"""An ASC file with a byte of Windows' encoding in its date or a comment gives no message.

Right: ASC is ASCII but for comments, names and the date, so such a byte keeps nothing away.
"""

from fault_files import read_can
from fault_programs import expect

text = (
    "date Mon Mär 4 10:00:00.000 2024\nbase hex  timestamps absolute\ninternal events logged\n"
    "// Prüfstand\n   0.100000 1  123             Rx   d 2 01 02\n"
)
found = read_can(text.encode("cp1252"), "asc")
expect(len(found.data) == 1, f"{len(found.data)} of 1 message, {found.error}")
