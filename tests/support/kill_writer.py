"""A program that writes files until it is killed: its folder, a way of writing, names of cases.

Ways: ``steady``; ``silent``, for ever after half a second; ``pauses``, of 1.2 s after each half
second; ``close``, closed right before it is killed, by a line on stdin.

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
WAYS = ("steady", "silent", "pauses", "close")


def main(folder: Path, way: str, names: list[str]) -> None:
    """Write until killed; a line on stdout says that every sink has begun."""
    notes = os.open(folder / TAKEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun, close = threading.Barrier(len(names) + 1), threading.Event()
    for number, name in enumerate(names):
        path = folder / f"{number}{CASES[name].suffix}"
        arguments = (number, CASES[name], path, notes, begun, way, close)
        threading.Thread(target=write, args=arguments, daemon=True).start()
    begun.wait(30)
    print("writing", flush=True)
    sys.stdin.readline()
    close.set()
    threading.Event().wait(60)


def write(
    number: int, case: Case, path: Path, notes: int, begun: threading.Barrier, way: str,
    close: threading.Event,
) -> None:  # fmt: skip
    """Give one sink its chunks in time."""
    sink, i, period = case.sink(path), 0, threading.Event()
    start = now = 0.0
    while not close.is_set():
        now = time.monotonic() - start if i else 0.0
        # half a second of chunks, and then nothing more, or nothing for more than a second
        idle = (way == "silent" and now > 0.5) or (way == "pauses" and now % 1.7 > 0.5)
        k = 1 if not i else round((now + case.period) * case.rate) - i
        if not idle:
            k = max(1, k)
            sink.on_next(case.chunk(i, i + k))
            if not i:
                begun.wait(30)
                start = time.monotonic()
            i += k
            os.write(notes, f"{number} {i} {time.monotonic_ns()}\n".encode())
        period.wait(case.period)
    sink.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
