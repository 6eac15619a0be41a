"""PEAK's trace files of version 1.2 are refused; error lines of all versions vanish unreported.

Right: 3 messages of the first, and the error line of the second as a message or a fault.
"""

from fault_files import read_can
from fault_programs import expect

new = read_can(
    ";$FILEVERSION=1.2\n;$STARTTIME=45000.5\n"
    "     1)      1059.900 1  Rx        0300 7  00 00 00 00 04 00 00\n"
    "     2)      1283.231 1  Rx        0400 8  1E 00 00 00 00 00 00 00\n"
    "     3)      1298.945 2  Rx    1FFFFFFF 2  00 00\n",
    "trc",
)
old = read_can(
    ";$FILEVERSION=1.1\n;$STARTTIME=45000.5\n"
    "     1)      1059.9  Rx         0300  7  00 00 00 00 04 00 00\n"
    "     2)      1283.2  Error      0000  4  00 00 00 08\n",
    "trc",
)
said = len(old.data) == 2 or bool(old.faults)
expect(len(new.data) == 3 and said, f"{len(new.data)} of 3, {new.error}; error line said: {said}")
