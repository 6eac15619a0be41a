"""capture: clips of several streams around events, with their past and their future."""

from collections.abc import Callable, Mapping
from typing import Any

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.data.clock import Duration, Time, to_span
from rxstream.errors import ParameterError
from rxstream.operators.clips.capture_step import CaptureStep, Events, Options
from rxstream.operators.clips.clip_buffer import ClipBuffer
from rxstream.printable import shown
from rxstream.steps.multi import lift_multi, not_a_stream, stream_name
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice
from rxstream.window.replay import Replay
from rxstream.window.rewindable import Rewindable, WindowView
from rxstream.window.starts import StartPosition

__all__ = ["capture"]

# Default of `max_duration` [s]: a minute of sound and video is a file of a size people handle, and
# bounds the memory of a clip whose events never pause.
_MAX_DURATION = 60.0


@label
def capture(
    *streams: Observable[Chunk],
    before: Duration = 0.0,
    after: Duration = 0.0,
    merge: bool = True,
    max_duration: Duration | None = None,
    lateness: Duration = 2.0,
    events: Events | None = None,
    time: Callable[[Any], Time] | None = None,
    **named: Observable[Chunk],
) -> Callable[[Observable[Any]], Stream[Clip]]:
    """Cut a clip of several streams around each event: the past before it, the future after it.

    The past comes from the windows of the streams, the future as it arrives, without a seam: the
    chunk of a stream equals what ``stream.between(start, end)`` returns afterwards.

    .. marble::

        -----x--------------x-x-------->     events
        [ capture(mic, before, after)  ]
        --------(==C==)-----------(==C==)    clips, once all of `after` is there

    Parameters
    ----------
    streams
        The streams to cut: devices, `TimeWindowSubject`, or the end of a pipe with
        ``replay_window``; named in the clip as the device is. For events of the past, give their
        past too: ``keys.past(20).pipe(ops.capture(mic.past(20), before=5, after=3))`` ends after
        the last clip, while a device itself is waited for; a closed one until it is opened again.
        What a clip needs beyond those 20 s comes from the window of ``mic``.
    before, after
        Length of a clip before the start and after the end of its event [s].
    merge
        Whether events whose clips would overlap share one; else each has its own. A shared clip
        waits until no event can come that would overlap it: ``before`` beyond its end.
    max_duration
        Length above which a clip comes in pieces of this length [s] (`Clip.part`, `Clip.more`);
        default: 60 s, or ``before + after`` where that is more.
    lateness
        Largest lag of a stream or of the events behind the most advanced of all [s], in stream
        time; what lags more is not waited for. The clip lists what is missing then
        (`Clip.missing`). An event later than its clip begins another.
    events
        The events of a chunk: ``"samples"``, each sample, as of keys; ``"chunks"``, the whole
        from its start to its end, as made by ``sessions``. Of a stream with a rate, ``"chunks"``
        makes one event of each stretch without a pause or a gap, as passed by ``gate``, however it
        is cut into chunks. Default: ``"chunks"`` for a stream with a rate, else ``"samples"``.
    time
        Function that returns the time of an event that is no chunk.
    named
        Further streams, by their names in the clip.

    Returns
    -------
    operator
        A `Clip` for each event or group of events, in the order of their starts. A stream that
        ends or fails does not end them: what it lacks is in `Clip.missing`. They end after the clip
        of the last event. If the events fail, pending clips come first, as they are.

    Raises
    ------
    ParameterError
        If there is no stream, one keeps no past or less than ``before``, two have one name, a
        length is negative, or a clip would be empty or longer than ``max_duration``; downstream,
        for an event that is no chunk, without ``time``.

    See Also
    --------
    replay_window : give any stream a past.
    sessions : events from keys and messages; with ``events="chunks"``.
    gate, onset : events from signals.

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
    options = _checked(before, after, merge, max_duration, lateness, events, time)
    for name, stream in sources.items():
        _check_history(name, stream, options.before)

    def make() -> CaptureStep:
        buffers = [ClipBuffer(name, stream.between) for name, stream in sources.items()]
        return CaptureStep(buffers, options)

    return lift_multi(make, list(sources.values()), "capture")


def _checked(
    before: Duration,
    after: Duration,
    merge: bool,
    max_duration: Duration | None,
    lateness: Duration,
    events: Events | None,
    time: Callable[[Any], Time] | None,
) -> Options:
    past, future = to_span(before, "before", zero=True), to_span(after, "after", zero=True)
    if events is not None:
        check_choice(events, Events, "events")
    if not isinstance(merge, bool):
        msg = f"merge must be True or False, not {shown(merge)}"
        raise ParameterError(msg)
    if time is not None and not callable(time):
        msg = f"time must be a function that returns the time of an event, not {shown(time)}"
        raise ParameterError(msg)
    if past + future == 0 and events != "chunks":
        msg = (
            "capture needs before or after > 0: a clip of one moment has no samples; for events "
            'with a length, events="chunks"'
        )
        raise ParameterError(msg)
    longest = max(to_span(_MAX_DURATION, "max_duration"), past + future)
    if max_duration is not None:
        longest = to_span(max_duration, "max_duration")
        if longest < past + future:
            msg = (
                f"max_duration={shown(max_duration)} is less than before + after, "
                f"{(past + future) / 1e9:g} s"
            )
            raise ParameterError(msg)
    late = to_span(lateness, "lateness", zero=True)
    return Options(past, future, merge, longest, late, events, time)


def _named(streams: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    sources: dict[str, Any] = {}
    for stream in streams:
        if not isinstance(stream, Observable):
            raise ParameterError(not_a_stream("capture", stream))
        name = stream_name(stream) or "stream"
        if name in sources or name in named:
            msg = f"capture: two streams are called {shown(name)}; name them: capture(a=..., b=...)"
            raise ParameterError(msg)
        sources[name] = stream
    sources.update(named)
    if not sources:
        msg = "capture needs a stream to cut, e.g. capture(mic, before=5, after=3)"
        raise ParameterError(msg)
    for name, stream in sources.items():
        _check_stream(name, stream)
    return sources


def _check_stream(name: str, stream: Any) -> None:
    if not isinstance(stream, Observable):
        msg = f"capture has no option {shown(name)}, and {shown(stream, 80)} is no stream"
        raise ParameterError(msg)
    # a view begins where it was asked to: clips take their past from the window themselves
    if not isinstance(stream, Rewindable | Replay) or isinstance(stream, WindowView):
        msg = (
            f"capture: {shown(name)} is a {type(stream).__name__}, which keeps no past; "
            "give the device "
            "itself, or put ops.replay_window(seconds) at the end of its pipe"
        )
        raise ParameterError(msg)


def _check_history(name: str, stream: Any, before: int) -> None:
    try:
        stream.check_start(StartPosition(back=before))
    except ParameterError as error:
        msg = (
            f"capture: before={before / 1e9:g} s is more than {shown(name)} keeps; make its "
            "history= "
            f"longer ({error})"
        )
        raise ParameterError(msg) from None
