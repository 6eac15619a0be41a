"""A program that writes a file until that may not grow any more, and says what came of it.

Its arguments: the name of a case, the path, and the size in bytes that no file may exceed.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path

from written_files import CASES

MANY = 100_000  # chunks


def main(name: str, path: Path, limit: int) -> None:
    """Write; print JSON."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    case = CASES[name]
    sink, error = case.sink(path), ""
    for k in range(MANY):
        try:
            sink.on_next(case.chunk(10 * k, 10 * k + 10))
        except OSError as full:
            error = str(full)
            break
    files = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
    found = {
        "error": error, "sent": 10 * k + 10, "samples": sink.samples, "closed": sink.closed,
        "open": sum(file.startswith(str(path)) for file in files),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
