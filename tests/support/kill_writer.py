"""A program that writes files until it is killed: its folder, then the names of cases.

Each file has a thread of its own. What a sink has taken is noted in ``taken.txt``: the number of
the case, samples in all, and the time [ns] of the monotonic clock, which other processes share.
"""

import os
import sys
import threading
import time
from pathlib import Path

from written_files import CASES, Case

TAKEN = "taken.txt"


def main(folder: Path, names: list[str]) -> None:
    """Write until killed; a line on stdout says that every sink has begun."""
    notes = os.open(folder / TAKEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun = threading.Barrier(len(names) + 1)
    for number, name in enumerate(names):
        path = folder / f"{number}{CASES[name].suffix}"
        arguments = (number, CASES[name], path, notes, begun)
        threading.Thread(target=write, args=arguments, daemon=True).start()
    begun.wait(30)
    print("writing", flush=True)
    threading.Event().wait(60)


def write(number: int, case: Case, path: Path, notes: int, begun: threading.Barrier) -> None:
    """Give one sink its chunks in time."""
    sink, i, period = case.sink(path), 0, threading.Event()
    start = 0.0
    while True:
        k = 1 if not i else max(1, round((time.monotonic() - start + case.period) * case.rate) - i)
        sink.on_next(case.chunk(i, i + k))
        if not i:
            begun.wait(30)
            start = time.monotonic()
        i += k
        os.write(notes, f"{number} {i} {time.monotonic_ns()}\n".encode())
        period.wait(case.period)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
