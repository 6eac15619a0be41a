"""Which threads deliver to subscribers at present.

Who closes a device waits until its subscribers have had everything. A subscriber that closes one
must not: another subscriber may wait for a lock that this one holds, as that of a join.
"""

import itertools
import os
from threading import get_ident

__all__ = ["current_delivery", "deliveries", "delivering", "numbers"]

# By identifier, and no `threading.local`: what looks here is called for each item.
deliveries: dict[int, int] = {}
"""Of each thread that calls a subscriber, the number of that call: the outermost of several."""

numbers = itertools.count(1)
"""Gives each call its number."""


class delivering:  # noqa: N801 - a context, as those of contextlib
    """Context in which a thread calls a subscriber: ``with delivering(): observer.on_next(chunk)``.

    Examples
    --------
    >>> with delivering():
    ...     current_delivery() is None
    False
    >>> current_delivery() is None
    True
    """

    __slots__ = ("_outermost",)

    def __enter__(self) -> None:
        here = get_ident()
        self._outermost = here not in deliveries
        if self._outermost:
            deliveries[here] = next(numbers)

    def __exit__(self, *_error: object) -> None:
        if self._outermost:
            deliveries.pop(get_ident(), None)


def current_delivery() -> int | None:
    """Return what identifies the call of a subscriber that this thread is in; None outside."""
    return deliveries.get(get_ident())


def _leave_parent() -> None:
    """Forget threads of the parent: new ones get their identifiers."""
    here = get_ident()
    for other in [thread for thread in deliveries if thread != here]:
        del deliveries[other]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_parent)
