"""An ASC file with "timestamps relative" has the time since the message before.

Right: sums. Seen: each is taken as absolute.
"""

import numpy as np
from fault_files import read_can
from fault_programs import expect

found = read_can(
    "date Mon Jan 8 10:00:00.000 am 2024\nbase hex  timestamps relative\n"
    "no internal events logged\n"
    "   0.100000 1  123             Rx   d 2 01 02\n"
    "   0.100000 1  123             Rx   d 2 01 03\n"
    "   0.300000 1  123             Rx   d 2 01 04\n"
    "   0.050000 1  123             Rx   d 2 01 05\n",
    "asc",
)
seconds = np.array(found.times) / 1e9
right = len(seconds) == 4 and np.allclose(seconds, [0.1, 0.2, 0.5, 0.55], atol=1e-6)
expect(right, seconds.tolist())
