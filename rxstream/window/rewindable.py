"""`Rewindable`: a stream that keeps a past, and `WindowView`, one seen from a start in its past."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

from reactivex import abc

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, Time, format_time, to_ns, to_span
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.steps.stream import Stream
from rxstream.validation import check_choice
from rxstream.window.log import Log, Policy
from rxstream.window.reader import Reader, iterate_async
from rxstream.window.replay import Replay
from rxstream.window.starts import StartPosition

__all__ = ["Rewindable", "WindowView"]

# `at` searches the last second first: on a long history that reads a fraction of the chunks.
_NEAR = 1_000_000_000  # [ns]


class Rewindable(Stream[Chunk]):
    """A stream that keeps a past: a device, a `TimeWindowSubject`, what `replay_window` returns.

    A subclass provides the log and how to join it; beginning in the past and looking back are the
    same for all.
    """

    _start = StartPosition()
    """Where a plain subscription begins, with the default policy."""

    @property
    @abstractmethod
    def log(self) -> Log:
        """The shared log of chunks: the window."""

    @abstractmethod
    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on."""

    @abstractmethod
    def attach_reader(self, start: StartPosition) -> Reader:
        """Return a reader that begins at a start."""

    # -- subscribing --------------------------------------------------------------------------

    def _subscribe_all(
        self, observer: abc.ObserverBase[Chunk], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        return self.attach(observer, scheduler, self._start)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Iterate over the chunks as they come, without holding the event loop."""
        start = replace(self._start, name=self._start.name or "async for")
        return iterate_async(lambda: self.attach_reader(start))

    @property
    def chain(self) -> str:
        """Name of the stream, and the operators behind it."""
        return self.log.name if self._source_stream is None else super().chain

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` if a start lies further back than the window reaches."""
        start.check(self.log)

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> "WindowView":
        """Begin ``seconds`` [s] before the newest sample, or at the time ``to``, and go on live.

        Where that is no longer held it begins with a `Gap`; where it is still to come, at that
        time.
        """
        return WindowView(self, self._start.rewound(seconds, to))

    def on_lag(self, policy: Policy, *, name: str | None = None) -> "WindowView":
        """Choose what happens to a subscriber that is too slow: gap, latest, error, block."""
        check_choice(policy, Policy, "policy")
        return WindowView(self, replace(self._start, policy=policy, name=name))

    def reader(  # type: ignore[override]  # the window is its hand-over, so it has no size
        self,
        *,
        rewind: Duration | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> Reader:
        """Return a reader to pull samples from.

        Parameters
        ----------
        rewind
            How long before the newest sample to begin [s]; None for now.
        policy
            What happens when it is too slow; see `on_lag`.
        name
            Name of the reader in messages and `Device.stats`.
        """
        start = self._start if rewind is None else self._start.rewound(rewind)
        if policy is not None:
            check_choice(policy, Policy, "policy")
            start = replace(start, policy=policy)
        return self.attach_reader(
            replace(start, name=start.name or "reader" if name is None else name)
        )

    # -- looking back -------------------------------------------------------------------------

    def last(self, seconds: Duration) -> Chunk:  # type: ignore[override]  # Rx's fluent `last` is .pipe(last())
        """Return the newest ``seconds`` [s] as one chunk.

        Raises
        ------
        ChunkError
            If nothing has come yet. A device returns an empty chunk instead.
        """
        span = to_span(seconds, "last", zero=True)
        newest = self.log.newest()
        end = newest.end if newest else 0
        return self.between(end - span, end)

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as far as the window holds it.

        Raises
        ------
        ChunkError
            If nothing has come yet. A device returns an empty chunk instead.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        return self.log.between(t0, t1)

    def at(self, t: Time) -> Chunk:
        """Return the sample at ``t``, or the last one before it, as a chunk of one.

        Raises
        ------
        ChunkError
            If the window holds no sample at or before ``t``.
        """
        log, when = self.log, to_ns(t)
        for span in (_NEAR, log.span):
            oldest = when - span
            newest = log.newest()
            if newest is not None and oldest > newest.end:
                oldest = newest.start
            for chunk in reversed(log.chunks(oldest, when + 1)):
                if len(chunk):
                    return cast("Chunk", chunk[len(chunk) - 1 :])
        msg = f"{log.name}: no sample at or before {when} is in the window"
        raise ChunkError(msg)

    def past(
        self,
        seconds: Duration | None = None,
        *,
        start: Time | None = None,
        end: Time | None = None,
        warmup: Duration = 0.0,
        cut: bool = True,
    ) -> Replay:
        """Return the history as a cold Observable: each subscription gets it again, then ends.

        Where operators take other streams, give them their past too, as in
        ``mic.past(20).pipe(ops.align(cam.past(20)))``: they would wait for a device itself, and for
        one that is closed until it is opened again.

        Parameters
        ----------
        seconds
            Length, counted back from the newest sample, or from ``end`` [s]. Exclusive with
            ``start``.
        start, end
            Interval, ``end`` exclusive; default: all there is.
        warmup
            How much earlier the operators of its ``pipe`` begin [s], for as long as they remember:
            a filter's settling time, a window's length. What they give for it is left out, so
            that ``mic.past(20, warmup=1).pipe(a, b)`` gives for 20 s what live gave. Other streams
            in it need as much more: ``cam.past(21)``. Results without a time, as numbers, are made
            in a further pipe: ``.pipe(a, b).pipe(c)``; see `Replay.pipe`.
        cut
            Whether results are cut to the sample at the requested start. With False, chunks that
            reach over it stay whole: windows.

        Raises
        ------
        ParameterError
            For a ``warmup`` without a start to come before; for both ``seconds`` and ``start``.

        Examples
        --------
        The last of each window of 0.3 s; the window that reaches over the start stays whole:

        >>> import numpy as np
        >>> from rxstream import Chunk, StreamInfo, TimeWindowSubject
        >>> from rxstream import operators as ops
        >>> info, ramp = StreamInfo("ramp", rate=10.0, dtype=np.int64), TimeWindowSubject(60)
        >>> ramp.on_next(Chunk.regular(np.arange(30), info, start=0))
        >>> ramp.past(0.4, warmup=0.3, cut=False).pipe(ops.window_by_time(0.3)).subscribe(
        ...     lambda window: print(window.data)).dispose()
        [24 25 26]
        [27 28 29]
        >>> ramp.on_completed()
        """
        back = None if seconds is None else to_span(seconds, "past")
        t0 = None if start is None else to_ns(start)
        t1 = None if end is None else to_ns(end)
        warm = to_span(warmup, "warmup", zero=True)
        if back is not None and t0 is not None:
            msg = f"past takes seconds or start=, not both: {shown(seconds)} and {shown(start)}"
            raise ParameterError(msg)
        if warm and back is None and t0 is None:
            msg = f"past(warmup={shown(warmup)}) needs seconds or start=, before which it lies"
            raise ParameterError(msg)
        return Replay(self.log, back=back, start=t0, end=t1, warmup=warm, cut=cut)


class WindowView(Rewindable):
    """A stream seen from a start in its past, or with another lag policy."""

    def __init__(self, source: Rewindable, start: StartPosition) -> None:
        source.check_start(start)
        super().__init__(source=source)
        self._source, self._start = source, start

    @property
    def log(self) -> Log:
        """The log of its source."""
        return self._source.log

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on."""
        return self._source.attach(observer, scheduler, start)

    def attach_reader(self, start: StartPosition) -> Reader:
        """Return a reader that begins at a start."""
        return self._source.attach_reader(start)

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as its source does."""
        return self._source.between(t0, t1)

    def __repr__(self) -> str:
        start = self._start
        since = "" if start.back is None else f"from {start.back / 1e9:g} s back, "
        since = since if start.to is None else f"from {format_time(start.to)}, "
        return f"<WindowView of {self.log.name}: {since}on_lag {start.policy}>"
