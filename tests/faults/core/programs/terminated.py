"""A program that is ended by SIGTERM loses as much as one that is killed: Python runs no atexit.

Right: all but the last second or so can be read from every file.
"""

import signal

from fault_killed import SECONDS, killed
from fault_programs import expect

if __name__ == "__main__":
    found = killed(signal.SIGTERM)
    expect(min(found.values()) > SECONDS - 1.5, f"readable of {SECONDS} s: {found}")
