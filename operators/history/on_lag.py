"""on_lag: what happens to a subscriber that is too slow."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.errors import NotRewindableError
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice
from rxstream.window.log import Policy
from rxstream.window.rewindable import Rewindable

__all__ = ["on_lag"]


@label
def on_lag(
    policy: Policy, *, name: str | None = None
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Choose what happens to this subscriber when it falls out of the window.

    It must come first in the pipe, before or after `rewind`.

    .. marble::

        --1--2--3--4--5--6--7-->       a window of two
          x=========x                  the subscriber is busy
        [    on_lag("gap")    ]
          1         4-5--6--7-->       4 carries Gap(lost=2, reason="lag")

    Parameters
    ----------
    policy
        ``"gap"``: go on at the oldest chunk kept, with a ``Gap(reason="lag")``, the default of live
        devices; ``"latest"``: always the newest chunk, with a gap for what is left out;
        ``"error"``: end with a `LagError`; ``"block"``: hold the producer until there is room,
        the default of files, without loss.
    name
        Name of the subscriber in threads, messages and `Device.stats`.

    Returns
    -------
    operator
        The same chunks.

    Raises
    ------
    ParameterError
        If there is no such policy.
    NotRewindableError
        When the pipe is built, if the source has no window.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream import Chunk, StreamInfo, TimeWindowSubject
    >>> info, ramp = StreamInfo("ramp", rate=10.0, dtype=np.int64), TimeWindowSubject(0.5)
    >>> kept = []
    >>> _ = ramp.pipe(on_lag("block", name="store")).subscribe(kept.append)
    >>> for k in range(100):
    ...     ramp.on_next(Chunk.regular(np.array([k]), info, start=k * 100_000_000, index=k))
    >>> ramp.on_completed()
    >>> ramp.wait(10**10), len(kept), any(chunk.gap for chunk in kept)
    (True, 100, False)
    """
    check_choice(policy, Policy, "policy")

    def operator(source: Observable[Chunk]) -> Stream[Chunk]:
        if not isinstance(source, Rewindable):
            msg = (
                f"on_lag, latest: a stream of type {type(source).__name__} has no window; put them "
                "first in the pipe of a device, or put ops.replay_window(seconds) before"
            )
            raise NotRewindableError(msg)
        return source.on_lag(policy, name=name)

    return operator
