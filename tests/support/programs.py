"""Programs that a test runs beside it."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["running"]


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program with pipes for what it prints; kill it if the block leaves it running.

    A plain `Popen` would wait for it, where a test fails since it does not end.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, encoding="utf-8", **(pipes | options)) as process:
        try:
            yield process
        finally:
            process.kill()  # nothing happens to one that has ended
