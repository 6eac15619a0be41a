"""Which threads deliver to subscribers at present.

Who closes a device waits until its subscribers have had everything. A subscriber that closes one
must not: another subscriber may wait for a lock that this one holds, as that of a join.
"""

import threading
from types import TracebackType

__all__ = ["current_delivery", "delivering", "here"]


class _Here(threading.local):
    depth = serial = 0


here = _Here()
"""Of the calling thread: how deep in subscribers it is, and how many calls it has made."""


class _Delivering:
    """Context in which a thread calls a subscriber.

    Examples
    --------
    >>> with delivering:
    ...     current_delivery() is None
    False
    >>> current_delivery() is None
    True
    """

    __slots__ = ()

    def __enter__(self) -> None:
        if not here.depth:
            here.serial += 1
        here.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        here.depth -= 1


delivering = _Delivering()
"""The context: ``with delivering: observer.on_next(chunk)``."""


def current_delivery() -> tuple[int, int] | None:
    """Return what tells the call of a subscriber apart that this thread is in; None outside."""
    return (threading.get_ident(), here.serial) if here.depth else None
