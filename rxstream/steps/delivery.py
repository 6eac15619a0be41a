"""Which threads deliver to subscribers at present.

Who closes a device waits until its subscribers have had everything. A subscriber that closes one
must not: another subscriber may wait for a lock that this one holds, as that of a join.
"""

import threading
from types import TracebackType

__all__ = ["current_delivery", "delivering", "is_delivering"]


class _Here(threading.local):
    depth = serial = 0


_here = _Here()


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
        here = _here
        if not here.depth:
            here.serial += 1
        here.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _here.depth -= 1


delivering = _Delivering()
"""The context: ``with delivering: observer.on_next(chunk)``."""


def is_delivering() -> bool:
    """Whether the calling thread is inside a subscriber."""
    return _here.depth > 0


def current_delivery() -> tuple[int, int] | None:
    """Return what tells the call of a subscriber apart that this thread is in; None outside."""
    return (threading.get_ident(), _here.serial) if _here.depth else None
