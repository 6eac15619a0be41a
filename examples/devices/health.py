"""How busy the computer is: a device that is asked."""

from collections.abc import Iterator
from typing import Any

from rxstream.authoring import source


@source(every=lambda options: options.every, dtype=[("cpu", "f4"), ("memory", "f4")], unit="%",
        requires="psutil")  # fmt: skip
def Health(every: float = 1.0) -> Iterator[Any]:
    """Load of the processors since the last sample, and memory in use [%]."""
    import psutil

    psutil.cpu_percent()
    yield
    while True:
        yield psutil.cpu_percent(), psutil.virtual_memory().percent
