"""rewind: begin in the past, go on live."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, Time, to_span
from rxstream.errors import NotRewindableError
from rxstream.printable import shown
from rxstream.steps.stream import Stream, label
from rxstream.window.replay import Replay
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition

__all__ = ["rewind"]


@label
def rewind(
    seconds: Duration | None = None, *, to: Time | None = None
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Begin in the past of a device, then go on live, with no sample twice and none missing.

    It must come first in the pipe: only a device, a `TimeWindowSubject` or `replay_window` keeps a
    past. For the past of derived streams, run the operators over the past again:
    ``mic.pipe(ops.rewind(10), pipeline)``, or for the past alone ``mic.past(10).pipe(pipeline)``.

    .. marble::

        --1--2--3--4--5--6--7-->
                     ^ subscribed
        [     rewind(2.0)     ]
                     345-6--7-->

    Parameters
    ----------
    seconds
        How long before the newest sample to begin [s]; or
    to
        the time at which to begin; later, if the window no longer holds it.

    Returns
    -------
    operator
        The same chunks, the first one cut to the sample.

    Raises
    ------
    ParameterError
        If neither or both are given, or ``seconds`` is negative or longer than the history.
    NotRewindableError
        When the pipe is built, if the source keeps no past.

    See Also
    --------
    replay_window : give any stream a past.

    Examples
    --------
    >>> import numpy as np
    >>> from reactivex.scheduler import ImmediateScheduler
    >>> from rxstream import Chunk, StreamInfo, TimeWindowSubject
    >>> info, ramp = StreamInfo("ramp", rate=10.0, dtype=np.int64), TimeWindowSubject(60)
    >>> ramp.on_next(Chunk.regular(np.arange(30), info, start=0))
    >>> _ = ramp.pipe(rewind(0.3)).subscribe(
    ...     lambda chunk: print(chunk.data), scheduler=ImmediateScheduler())
    [27 28 29]
    >>> ramp.on_completed()
    """
    StartPosition().rewound(seconds, to)

    def operator(source: Observable[Chunk]) -> Stream[Chunk]:
        if not isinstance(source, Rewindable):
            raise NotRewindableError(_instead(source, seconds, to))
        return source.rewind(seconds, to=to)

    return operator


def _instead(source: object, seconds: Duration | None, to: Time | None) -> str:
    """Return the message for a rewind after something that keeps no past, with the remedy."""
    if isinstance(source, Replay):
        return "rewind: past(...) is the past already; subscribe to it, or say past(seconds)"
    if seconds is None:
        here, span, ask = f"rewind(to={shown(to)})", "seconds", f"start={shown(to)}"
    else:
        length = seconds if isinstance(seconds, int | float) else to_span(seconds, "rewind") / 1e9
        here, span, ask = f"rewind({length:g})", f"{length:g}", f"{length:g}"
    return (
        f"{here}: what comes before it in the pipe, a {type(source).__name__}, keeps no past. "
        f"Put it first in the pipe, device.pipe(ops.{here}, ...), to run the operators over the "
        f"past and go on live; or, for the past alone, device.past({ask}, warmup=1).pipe(...); or "
        f"put ops.replay_window({span}) right before it, to keep what they give from now on"
    )
