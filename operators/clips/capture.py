"""capture: the past and the future of several streams around an event."""

from collections.abc import Callable, Mapping
from typing import Any

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.data.clock import Duration, Time, to_span
from rxstream.errors import ParameterError
from rxstream.operators.clips.capture_run import Run
from rxstream.operators.clips.capture_step import CaptureStep, Events, Options
from rxstream.operators.clips.clip_buffer import ClipBuffer
from rxstream.window.replay import Replay
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition

__all__ = ["capture"]

_MAX_DURATION = 60.0  # [s]


def capture(
    *streams: Observable[Chunk],
    before: Duration = 0.0,
    after: Duration = 0.0,
    merge: bool = True,
    max_duration: Duration | None = None,
    lateness: Duration = 2.0,
    events: Events = "samples",
    time: Callable[[Any], Time] | None = None,
    **named: Observable[Chunk],
) -> Callable[[Observable[Any]], Observable[Clip]]:
    """Cut a clip of several streams around each event: the past before it, the future after it.

    The past comes from the streams' windows, the future as it comes, without a seam: a clip of a
    stream is what ``stream.between(start, end)`` would give afterwards.

    .. marble::

        -----x--------------x-x-------->     events
        [ capture(mic, before, after)  ]
        --------(==C==)-----------(==C==)    clips, once all of `after` is there

    Parameters
    ----------
    streams
        What to cut: devices, `TimeWindowSubject`, or the end of a pipe with ``replay_window``.
        Called in the clip as the device is, or as told by ``named``. Over the past, their past too:
        ``keys.past(20).pipe(ops.capture(mic.past(20), before=5, after=3))`` gives the clips of what
        has been, and ends, while devices themselves are waited for; closed ones until they are
        opened again. What a clip wants beyond 20 s comes from the window of ``mic``.
    before, after
        How long a clip begins before an event and ends after it [s].
    merge
        Whether events whose clips would overlap share one; else each has its own. To share, a clip
        waits until no event that is ``before`` after its end can come any more.
    max_duration
        A longer clip is given in pieces of this length [s] (`Clip.part`, `Clip.more`); default:
        60 s, or ``before + after`` where that is more.
    lateness
        By how much a stream, or the events, may be behind the most advanced of all [s], in stream
        time, until they are waited for no more. What is missing then, the clip tells; an event that
        comes when its clip has been given begins another.
    events
        What is an event in a chunk: ``"samples"``, each of them, as of keys; ``"chunks"``, the
        whole, from its start to its end, as ``sessions`` makes them. Of a stream with a rate,
        ``"chunks"`` makes one event of each stretch without a pause or a gap, however it comes in
        chunks: take that for what ``gate`` passes, or each of its samples is an event.
    time
        For events that are no chunks: tells when one was.
    named
        Streams, under the names they shall have in the clip.

    Returns
    -------
    operator
        A `Clip` for each event or group of events, in the order of their starts. A stream that
        ends or fails does not end the clips: they tell. They end after the last event's clip;
        where the events fail, clips under way are given first, as they are.

    Raises
    ------
    ParameterError
        If there is no stream, one keeps no past or less than ``before``, two are called the same,
        a length is negative, or a clip would have none or be longer than ``max_duration``;
        downstream, for an event that is no chunk, without ``time``.

    See Also
    --------
    replay_window : give any stream a past.
    sessions, gate : events made of keys, messages and signals; with ``events="chunks"``.
    onset : events made of signals.

    Examples
    --------
    >>> import numpy as np
    >>> from reactivex.scheduler import ImmediateScheduler
    >>> from rxstream import Chunk, StreamInfo, TimeWindowSubject
    >>> info, mic = StreamInfo("mic", 10.0, (), np.int64), TimeWindowSubject(60, name="mic")
    >>> keys = TimeWindowSubject(60, name="keys")
    >>> clips = keys.pipe(capture(mic, before=0.5, after=0.3, merge=False))
    >>> _ = clips.subscribe(lambda c: print(c["mic"].data), scheduler=ImmediateScheduler())
    >>> mic.on_next(Chunk.regular(np.arange(10), info, start=0))
    >>> keys.on_next(Chunk.stamped(np.ones(1, "f4"), [10**9], StreamInfo("keys")))
    >>> mic.on_next(Chunk.regular(np.arange(10, 20), info, start=10**9, index=10))
    [ 5  6  7  8  9 10 11 12]
    >>> keys.on_completed(); mic.on_completed()
    """
    sources = _named(streams, named)
    for name, stream in sources.items():
        _check_stream(name, stream)
    options = _checked(before, after, merge, max_duration, lateness, events, time)
    for name, stream in sources.items():
        _check_history(name, stream, options.before)

    def operator(events: Observable[Any]) -> Observable[Clip]:
        def subscribe(
            observer: abc.ObserverBase[Clip], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            strips = [ClipBuffer(name, stream.between) for name, stream in sources.items()]
            run = Run(CaptureStep(strips, options), observer)
            return run.start(events, sources.values(), scheduler)

        return Observable(subscribe)

    return operator


def _checked(
    before: Duration,
    after: Duration,
    merge: bool,
    max_duration: Duration | None,
    lateness: Duration,
    events: Events,
    time: Callable[[Any], Time] | None,
) -> Options:
    past, future = to_span(before, "before", zero=True), to_span(after, "after", zero=True)
    if events not in ("samples", "chunks"):
        msg = f"events must be 'samples' or 'chunks', not {events!r}"
        raise ParameterError(msg)
    if not isinstance(merge, bool):
        msg = f"merge must be True or False, not {merge!r}"
        raise ParameterError(msg)
    if time is not None and not callable(time):
        msg = f"time must be a function that tells when an event was, not {time!r}"
        raise ParameterError(msg)
    if past + future == 0 and events == "samples":
        msg = "capture needs before or after > 0: a clip of one moment has no samples"
        raise ParameterError(msg)
    most = max(to_span(_MAX_DURATION, "max_duration"), past + future)
    if max_duration is not None:
        most = to_span(max_duration, "max_duration")
        if most < past + future:
            msg = (
                f"max_duration={max_duration!r} is less than before + after, "
                f"{(past + future) / 1e9:g} s"
            )
            raise ParameterError(msg)
    late = to_span(lateness, "lateness", zero=True)
    return Options(past, future, merge, most, late, events, time)


def _named(streams: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    sources: dict[str, Any] = {}
    for stream in streams:
        if not isinstance(stream, Observable):
            msg = f"capture: {stream!r:.80} is no stream to cut; options need their names"
            raise ParameterError(msg)
        name = getattr(stream, "name", None) or getattr(getattr(stream, "log", None), "name", None)
        called = name if isinstance(name, str) else "stream"
        if called in sources or called in named:
            msg = f"capture: two streams are called {called!r}; name them: capture(a=..., b=...)"
            raise ParameterError(msg)
        sources[called] = stream
    sources.update(named)
    if not sources:
        msg = "capture needs a stream to cut, e.g. capture(mic, before=5, after=3)"
        raise ParameterError(msg)
    return sources


def _check_stream(name: str, stream: Any) -> None:
    if not isinstance(stream, Observable):
        msg = f"capture has no option {name!r}, and {stream!r:.80} is no stream"
        raise ParameterError(msg)
    if isinstance(stream, Replay):
        return
    if not isinstance(stream, Rewindable) or not hasattr(stream, "between"):
        msg = (
            f"capture: {name!r} is a {type(stream).__name__}, which keeps no past; give the device "
            "itself, or put ops.replay_window(seconds) at the end of its pipe"
        )
        raise ParameterError(msg)


def _check_history(name: str, stream: Any, before: int) -> None:
    check = getattr(stream, "check_start", None)
    try:
        if check is not None:
            check(StartPosition(back=before))
    except ParameterError as error:
        msg = (
            f"capture: before={before / 1e9:g} s is more than {name!r} keeps; make its history= "
            f"longer ({error})"
        )
        raise ParameterError(msg) from None
