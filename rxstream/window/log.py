"""The window: one shared log of chunks, and a cursor for each reader.

The producer only appends; a reader takes what it has not had, when it can. Past and live are one
log, so going back in time has no seam. The log is bounded in sample time and in bytes; a cursor
that falls out of it obeys its policy, and is told what it missed.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from rxstream.data.axis import IrregularAxis
from rxstream.data.chunk import Chunk
from rxstream.data.clock import now_ns
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, LagError, ParameterError

__all__ = ["Cursor", "Log", "Policy", "check_policy"]

Policy: TypeAlias = Literal["gap", "latest", "error", "block"]
_CHUNK_BYTES = 512  # what a chunk weighs besides its samples, measured with tracemalloc
_BATCH = 64


def check_policy(policy: str) -> None:
    """Raise `ParameterError` for an unknown policy."""
    if policy not in get_args(Policy):
        msg = f"policy must be one of {', '.join(get_args(Policy))}, not {policy!r}"
        raise ParameterError(msg)


class Cursor:
    """Where one reader is in the log.

    Attributes
    ----------
    position
        Number of the next chunk to take.
    wake
        Called once when there is something to take, after `Log.take` has given nothing.
    lost, delivered
        Samples lost to lag, and chunks taken.
    """

    __slots__ = ("cut", "delivered", "gone", "lost", "name", "policy", "position", "seen",
                 "thread", "wake")  # fmt: skip

    def __init__(self, policy: Policy, wake: Callable[[], None], name: str) -> None:
        self.policy, self.wake, self.name = policy, wake, name
        self.position = 0
        self.seen: Chunk | None = None  # the last one taken, or what is before the first
        self.thread = 0  # which took last
        self.gone = False
        self.cut: int | None = None  # time [ns] before which the first chunk is not wanted
        self.lost = self.delivered = 0


class Log:
    """Chunks in order, bounded, with cursors.

    Parameters
    ----------
    span
        Sample time kept [ns].
    max_bytes
        Bytes kept, samples and bookkeeping; the newest chunk always is.
    name
        Of the stream, for messages.
    clock
        Gives the time [ns] by which an idle log ages.
    """

    def __init__(
        self, span: int, max_bytes: int, name: str, clock: Callable[[], int] = now_ns
    ) -> None:
        self.span, self.max_bytes, self.name = span, max_bytes, name
        self._clock = clock
        # what dies with a chunk may call us from inside, e.g. dispose of a subscription
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)  # a blocking cursor went on
        self._chunks: list[Chunk | None] = []
        self._base = 0  # number of _chunks[0]; those before `start` are None
        self.start = self.stop = 0
        self._bytes = 0
        self._oldest_end = 0
        self._looked = 0  # `stop` when the clock was last asked
        self._fed = 0  # host time of about the last append
        self.ended = False
        self.error: Exception | None = None
        self._cursors: tuple[Cursor, ...] = ()
        self._idle: list[Cursor] = []  # those to wake
        self._fresh: list[Cursor] = []  # those that know of no chunk yet
        self._tail: Chunk | None = None  # the end of the last chunk dropped
        self._blocking = self._released = False

    # -- writing ------------------------------------------------------------------------------

    def append(self, chunk: Chunk) -> None:
        """Add the newest chunk and wake the readers; waits only for cursors that block."""
        end = chunk.end
        with self._lock:
            if self.ended:
                return
            self._chunks.append(chunk)
            if self.start == self.stop:
                self._oldest_end = end
            self.stop += 1
            self._bytes += chunk.nbytes + _CHUNK_BYTES
            idle: list[Cursor] | None = None  # not the list that the next idle ones go to
            if self._idle:
                idle, self._idle = self._idle, []
            full = end - self.span >= self._oldest_end or self._bytes > self.max_bytes
            if full and not self._blocking:
                self._trim(end - self.span)
                full = False
        if idle:
            for cursor in idle:
                cursor.wake()
        if full:
            with self._lock:
                self._trim(end - self.span, hold=True)

    def end(self, error: Exception | None = None) -> None:
        """Let every reader finish what is there and then end, with ``error`` if there is one."""
        with self._lock:
            if self.ended:
                return
            self.ended, self.error = True, error
            idle, self._idle = self._idle, []
            self._moved.notify_all()
        for cursor in idle:
            cursor.wake()

    def release(self) -> None:
        """Hold the producer no more; blocking cursors still get everything."""
        with self._lock:
            self._released = True
            self._moved.notify_all()

    def trim_idle(self) -> bool:
        """Let go of what is past although nothing new comes; return whether anything is left."""
        with self._lock:
            now = self._clock()
            if self._looked != self.stop:  # not idle: appending has trimmed it
                self._looked, self._fed = self.stop, now
            newest = self._newest()
            if newest is not None:
                self._trim(newest.end + now - self._fed - self.span, keep=0)
            return self.start < self.stop

    def clear(self) -> None:
        """Let go of everything; a reader that has not had it is told."""
        with self._lock:
            while self.start < self.stop:
                self._drop()

    def _trim(self, limit: int, *, hold: bool = False, keep: int = 1) -> None:
        """Drop chunks that end by ``limit`` [ns] or are too many bytes; called with the lock.

        With ``hold``, wait for cursors that block; else leave them what they have not had.
        """
        while self.stop - self.start > keep:
            if self._oldest_end > limit and self._bytes <= self.max_bytes:
                return
            if self._blocking:
                behind = [
                    c for c in self._cursors if c.policy == "block" and c.position <= self.start
                ]
                # who appends while it takes, or between, would wait for itself
                if behind and (
                    not hold
                    or self._released
                    or self.ended
                    or any(c.thread == get_ident() for c in behind)
                ):
                    return
                if behind:
                    self._moved.wait()
                    continue
            self._drop()

    def _drop(self) -> None:
        chunks = self._chunks
        at = self.start - self._base
        dead: Any = chunks[at]  # to the end of this: what dies with it finds the log in order
        chunks[at] = None
        self._bytes -= dead.nbytes + _CHUNK_BYTES
        if self._fresh:
            self._remember(dead)
        self.start += 1
        at += 1
        if self.start < self.stop:
            oldest: Any = chunks[at]
            self._oldest_end = oldest.end
        else:
            self._tail = _nothing(dead, dead.end, after(dead))
        if at > _BATCH and 2 * at > len(chunks):
            del chunks[:at]
            self._base += at

    def _remember(self, dead: Chunk) -> None:
        """Note for cursors that have had nothing yet where they would have begun."""
        fresh, self._fresh = self._fresh, []
        for cursor in fresh:
            if cursor.seen is None and cursor.position == self.start:
                cursor.seen = _before(dead)
            elif cursor.seen is None:
                self._fresh.append(cursor)

    # -- readers ------------------------------------------------------------------------------

    def attach(self, cursor: Cursor, since: int | None = None) -> None:
        """Put a cursor at "now", or at the time ``since`` [ns], and wake it if there is work."""
        with self._lock:
            cursor.position = self.stop
            if since is not None:
                cursor.position = self._number_at(since)
                cursor.cut = since
            before = cursor.position - 1
            cursor.seen = self._chunks[before - self._base] if before >= self.start else None
            if cursor.seen is None:
                self._fresh.append(cursor)
            busy = cursor.position < self.stop or self.ended
            self._cursors = (*self._cursors, cursor)
            self._blocking = self._blocking or cursor.policy == "block"
            if not busy:
                self._idle.append(cursor)
        if busy:
            cursor.wake()

    def detach(self, cursor: Cursor) -> None:
        """Forget a cursor; a producer that waits for it goes on."""
        with self._lock:
            cursor.gone = True
            self._cursors = tuple(c for c in self._cursors if c is not cursor)
            self._idle = [c for c in self._idle if c is not cursor]
            self._fresh = [c for c in self._fresh if c is not cursor]
            self._blocking = any(c.policy == "block" for c in self._cursors)
            cursor.seen = None
            self._moved.notify_all()

    def take(self, cursor: Cursor) -> list[Chunk] | None:
        """Return the next chunks for a cursor; none means wait for `Cursor.wake`.

        Returns
        -------
        chunks
            None at the end of the log, or for a cursor that was detached. That is said to one
            thread only: who was given none has handed over to whoever `Cursor.wake` calls.

        Raises
        ------
        LagError
            If it fell out of the window and its policy is ``"error"``.
        """
        with self._lock:
            position, seen = cursor.position, cursor.seen
            missed = position < self.start
            if max(position, self.start) == self.stop:
                if cursor.gone or (self.ended and not (missed and seen)):
                    return None
                if not self.ended:  # what it has not had is past, and nothing new has come
                    self._rest(cursor)
                    return []
            at = max(position, self.start)
            if cursor.policy == "latest" and at < self.stop - 1:
                if seen is None and not missed:
                    seen = _before(self._chunks[position - self._base])
                at, missed = self.stop - 1, True
            first = at - self._base
            chunks: list[Any] = self._chunks[first : first + _BATCH] or [self._tail]
            cursor.position = min(at + len(chunks), self.stop)
            cursor.seen = chunks[-1]
            cursor.delivered += len(chunks)
            if cursor.policy == "block":
                cursor.thread = get_ident()
                self._moved.notify_all()
        if missed:
            chunks[0] = self._tell_lag(cursor, seen, chunks[0])
        if cursor.cut is not None:
            begun = chunks[0]
            if begun.covered_from < cursor.cut < begun.end:
                chunks[0] = begun.between(cursor.cut, begun.end)
            cursor.cut = None
        return chunks

    def _rest(self, cursor: Cursor) -> None:
        if not cursor.gone and cursor not in self._idle:
            self._idle.append(cursor)

    def _tell_lag(self, cursor: Cursor, seen: Chunk | None, first: Chunk) -> Chunk:
        if seen is None:
            return first
        told = sum(gap.lost or 0 for at, gap in first.gap_positions if at == 0)
        lost = first.index - told - after(seen)
        gap = Gap(seen.end, max(seen.end, first.covered_from), max(0, lost), "lag")
        if not gap.lost and first.rate is None and not first.gap_positions:  # only heartbeats
            return Chunk(first.data, first.axis, gap.start, first.end, first.index, first.info)
        cursor.lost += gap.lost or 0
        if cursor.policy == "error":
            msg = (
                f"{self.name}: subscriber {cursor.name} was too slow: {gap}; the window holds "
                f"{self.span / 1e9:g} s; make the history longer, or use another on_lag policy"
            )
            raise LagError(msg)
        return first.with_gap(gap)

    # -- looking ------------------------------------------------------------------------------

    def newest(self) -> Chunk | None:
        """Return the newest chunk, or None."""
        with self._lock:
            return self._newest()

    def chunks(self, t0: int, t1: int) -> list[Chunk]:
        """Return the chunks from ``t0`` to before ``t1`` [ns], the outer ones cut to fit."""
        with self._lock:
            at = self._number_at(t0) - self._base
            found: list[Chunk] = []
            for k in range(at, len(self._chunks)):  # a slice would copy all that is later
                chunk = self._chunks[k]
                if chunk is None or chunk.covered_from >= t1:
                    break
                found.append(chunk)
        if found and found[-1].end > t1:
            found[-1] = found[-1].between(found[-1].covered_from, t1)
        if found and found[0].covered_from < t0:
            found[0] = found[0].between(t0, found[0].end)
        return found

    def between(self, t0: int, t1: int) -> Chunk:
        """Return the samples from ``t0`` to before ``t1`` [ns] as one chunk.

        Where nothing was told it is empty, and lies where what comes next begins.

        Raises
        ------
        ChunkError
            If the log is empty.
        """
        found = self.chunks(t0, t1)
        if found:
            return concat(found)
        newest = self.newest()
        if newest is None:
            msg = f"{self.name}: nothing has come yet"
            raise ChunkError(msg)
        with self._lock:
            at = self._number_at(t0) - self._base
            later = self._chunks[at] if at < len(self._chunks) else None
        return (newest if later is None else later)[:0]

    @property
    def nbytes(self) -> int:
        """Bytes held: samples and bookkeeping."""
        return self._bytes

    @property
    def held(self) -> float:
        """Sample time held [s]."""
        oldest, newest = self._oldest(), self.newest()
        return (newest.end - oldest.start) / 1e9 if oldest and newest else 0.0

    def cursors(self) -> Sequence[tuple[Cursor, int, float]]:
        """Return each cursor, and how far it is behind in chunks and in sample time [s]."""
        with self._lock:
            newest = self._newest()
            return [(c, self.stop - c.position, self._behind(c, newest)) for c in self._cursors]

    def _behind(self, cursor: Cursor, newest: Chunk | None) -> float:
        at = max(cursor.position, self.start) - self._base
        if newest is None or at >= len(self._chunks):
            return 0.0
        chunk: Any = self._chunks[at]
        since = cursor.seen.end if cursor.seen else chunk.start
        return float(newest.end - since) / 1e9

    def _newest(self) -> Chunk | None:
        return self._chunks[-1] if self.start < self.stop else None

    def _oldest(self) -> Chunk | None:
        with self._lock:
            return self._chunks[self.start - self._base] if self.start < self.stop else None

    def _number_at(self, t: int) -> int:
        """Return the number of the first chunk that ends after ``t`` [ns]."""
        dead = self.start - self._base
        return self._base + bisect_right(self._chunks, t, lo=dead, key=_end)


def after(chunk: Chunk) -> int:
    """Return the index of the sample after a chunk."""
    return chunk.index + len(chunk) + sum(gap.lost or 0 for at, gap in chunk.gap_positions if at)


def _before(chunk: Any) -> Chunk:
    """Return an empty chunk that ends where a chunk begins."""
    told = sum(gap.lost or 0 for at, gap in chunk.gap_positions if at == 0)
    return _nothing(chunk, chunk.covered_from, chunk.index - told)


def _nothing(chunk: Chunk, at: int, index: int) -> Chunk:
    """Return an empty chunk of the same stream at a time [ns]; it holds no slab."""
    none = np.empty(0, np.int64)
    return Chunk(chunk.data[:0].copy(), IrregularAxis(none), at, at, index, chunk.info)


def _end(chunk: Chunk | None) -> int:
    return chunk.end if chunk is not None else 0
