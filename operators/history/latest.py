"""latest: always the newest chunk, for drawing."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.operators.history.on_lag import on_lag
from rxstream.steps.stream import Stream, label

__all__ = ["latest"]


@label
def latest(*, name: str | None = None) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Give a slow subscriber always the newest chunk, with a gap for what it left out.

    Short for ``on_lag("latest")``.

    .. marble::

        --1--2--3--4--5--6--7-->
          x=========x                  the subscriber is busy
        [       latest()      ]
          1         4-5--6--7-->       4 carries Gap(lost=2, reason="lag")

    Parameters
    ----------
    name
        Name of the subscriber in threads, messages and `Device.stats`.

    Returns
    -------
    operator
        Some of the chunks, in order.

    Raises
    ------
    NotRewindableError
        When the pipe is built, if the source has no window.

    Examples
    --------
    >>> from rxstream import TimeWindowSubject
    >>> view = TimeWindowSubject(1.0).pipe(latest(name="plot"))
    """
    return on_lag("latest", name=name)
