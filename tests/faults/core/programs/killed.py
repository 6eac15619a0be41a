"""A program that is killed (SIGKILL, power lost) leaves files that cannot be read.

Right: all but the last second or so can be read from every file.
"""

import signal

from fault_killed import SECONDS, killed
from fault_programs import expect

if __name__ == "__main__":
    found = killed(signal.SIGKILL)
    expect(min(found.values()) > SECONDS - 1.5, f"readable of {SECONDS} s: {found}")
