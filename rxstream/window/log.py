"""The window: one shared log of chunks, and a cursor for each reader.

The producer only appends; a reader takes what it has not had, when it can. Past and live are one
log, so going back in time has no seam. The log is bounded in sample time and in bytes; a cursor
that falls out of it obeys its policy, and gets what it missed as a gap.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, Literal, TypeAlias

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Time, now_ns, to_ns
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, LagError, ParameterError

__all__ = ["Cursor", "Log", "Policy"]

Policy: TypeAlias = Literal["gap", "latest", "error", "block"]

# Memory of a chunk besides its samples [bytes], measured with tracemalloc.
_CHUNK_BYTES = 512

# Chunks taken at once: a busy reader locks the log once for all of them, and a dispose or a turn of
# its scheduler waits for no more than these.
_BATCH = 64


class Cursor:
    """The position of one reader in the log.

    Attributes
    ----------
    position
        Number of the next chunk to take.
    wake
        Called once when there is something to take, after `Log.take` has returned an empty list.
    seen
        The last chunk taken, or an empty one where the reader began; None if that is not known yet.
    thread
        Identifier of the thread that took last.
    cut
        Time [ns] to which the first chunk is cut, for a start in the past.
    lost, delivered
        Samples lost to lag, and chunks taken.
    """

    __slots__ = ("cut", "delivered", "gone", "lost", "name", "policy", "position", "seen",
                 "thread", "wake")  # fmt: skip

    def __init__(self, policy: Policy, wake: Callable[[], None], name: str) -> None:
        self.policy, self.wake, self.name = policy, wake, name
        self.position = 0
        self.seen: Chunk | None = None
        self.thread = 0
        self.gone = False
        self.cut: int | None = None
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
        Name of the stream, for messages.
    clock
        Returns the time [ns] by which an idle log ages.
    """

    def __init__(
        self, span: int, max_bytes: int, name: str, clock: Callable[[], int] = now_ns
    ) -> None:
        self.span, self.max_bytes, self.name = span, max_bytes, name
        self._clock = clock
        # Finalizers of a dropped chunk may re-enter, e.g. dispose a subscription.
        self._lock = threading.RLock()
        # Notified when a blocking cursor has moved or left: a producer may wait for it.
        self._moved = threading.Condition(self._lock)
        # Chunk number n is at n - `_base`. Those before `start` are None until many are deleted.
        self._chunks: list[Chunk | None] = []
        self._base = 0
        self.start = self.stop = 0
        self._bytes = 0
        self._oldest_end = 0
        # `stop` when the clock was last read: as long as that is the same, the log is idle, since
        # about `_appended_at` [ns].
        self._stop_at_look = 0
        self._appended_at = 0
        self.ended = False
        self.error: Exception | None = None
        self._cursors: tuple[Cursor, ...] = ()
        # Cursors that found nothing to take; the next append wakes these, and only these.
        self._idle: list[Cursor] = []
        # Cursors that have not taken anything, and found no chunk before them. If their first chunk
        # is dropped, its start is noted, so that the loss has a start and a count.
        self._fresh: list[Cursor] = []
        # Empty chunk at the end of the last one dropped, when none is left: at the end of the
        # stream it carries the gap to readers that lag.
        self._tail: Chunk | None = None
        self._blocking = self._released = False

    # -- writing ------------------------------------------------------------------------------

    def append(self, chunk: Chunk) -> None:
        """Add the newest chunk and wake idle readers; waits only for cursors that block."""
        end = chunk.end
        with self._lock:
            if self.ended:
                return
            self._chunks.append(chunk)
            if self.start == self.stop:
                self._oldest_end = end
            self.stop += 1
            self._bytes += chunk.nbytes + _CHUNK_BYTES
            # Woken without the lock, when other threads may add to the list: so it is replaced.
            idle: list[Cursor] | None = None
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
        """Stop holding the producer; blocking cursors still get everything."""
        with self._lock:
            self._released = True
            self._moved.notify_all()

    def trim_idle(self) -> bool:
        """Expire chunks by the clock while the producer is idle; return whether any are left."""
        with self._lock:
            now = self._clock()
            # not idle: appending has trimmed it
            if self._stop_at_look != self.stop:
                self._stop_at_look, self._appended_at = self.stop, now
            newest = self._newest()
            if newest is not None:
                self._trim(newest.end + now - self._appended_at - self.span, keep=0)
            return self.start < self.stop

    def clear(self) -> None:
        """Drop everything; a reader that has not had it gets a gap."""
        with self._lock:
            while self.start < self.stop:
                self._drop()

    def _trim(self, limit: int, *, hold: bool = False, keep: int = 1) -> None:
        """Drop chunks that end by ``limit`` [ns] or are too many bytes; the lock must be held.

        With ``hold``, wait for cursors that block; else keep what they have not had.
        """
        while self.stop - self.start > keep:
            if self._oldest_end > limit and self._bytes <= self.max_bytes:
                return
            if self._blocking:
                behind = [
                    c for c in self._cursors if c.policy == "block" and c.position <= self.start
                ]
                # A thread that appends while it delivers to a blocking cursor waits for itself.
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
        # This reference keeps the chunk until the method returns: finalizers that call in again
        # then find the log in order.
        dead: Any = chunks[at]
        chunks[at] = None
        self._bytes -= dead.nbytes + _CHUNK_BYTES
        if self._fresh:
            self._note_origin(dead)
        self.start += 1
        at += 1
        if self.start < self.stop:
            oldest: Any = chunks[at]
            self._oldest_end = oldest.end
        else:
            self._tail = Chunk.empty(dead.info, dead.end, index=dead.next_index)
        # When half of the list is dropped entries, delete them: O(1) per chunk on average.
        if at > _BATCH and 2 * at > len(chunks):
            del chunks[:at]
            self._base += at

    def _note_origin(self, dead: Chunk) -> None:
        """Note the start of a dropped chunk for the cursors that would have begun with it."""
        fresh, self._fresh = self._fresh, []
        for cursor in fresh:
            if cursor.seen is None and cursor.position == self.start:
                cursor.seen = _origin(dead)
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
        """Return the next chunks for a cursor; an empty list means wait for `Cursor.wake`.

        Returns
        -------
        chunks
            None at the end of the log, or for a cursor that was detached. Returned to exactly one
            thread: a caller that received an empty list has handed the cursor over to the next
            `Cursor.wake` callback.

        Raises
        ------
        LagError
            If the cursor fell out of the window and its policy is ``"error"``.
        """
        with self._lock:
            position, seen = cursor.position, cursor.seen
            missed = position < self.start
            if max(position, self.start) == self.stop:
                if cursor.gone or (self.ended and not (missed and seen)):
                    return None
                # What it missed is reported before the next chunk, or at the end: there is no
                # next chunk yet to carry the gap.
                if not self.ended:
                    self._park(cursor)
                    return []
            at = max(position, self.start)
            if cursor.policy == "latest" and at < self.stop - 1:
                if seen is None and not missed:
                    seen = _origin(self._chunks[position - self._base])
                at, missed = self.stop - 1, True
            first = at - self._base
            # At the end, with everything dropped, the tail alone carries the gap.
            chunks: list[Any] = self._chunks[first : first + _BATCH] or [self._tail]
            cursor.position = min(at + len(chunks), self.stop)
            cursor.seen = chunks[-1]
            cursor.delivered += len(chunks)
            if cursor.policy == "block":
                cursor.thread = get_ident()
                self._moved.notify_all()
        if missed:
            chunks[0] = self._with_lag(cursor, seen, chunks[0])
        if cursor.cut is not None:
            begun = chunks[0]
            if begun.covered_from < cursor.cut < begun.end:
                chunks[0] = begun.between(cursor.cut, begun.end)
            cursor.cut = None
        return chunks

    def _park(self, cursor: Cursor) -> None:
        """Have a cursor woken by the next append."""
        if not cursor.gone and cursor not in self._idle:
            self._idle.append(cursor)

    def _with_lag(self, cursor: Cursor, seen: Chunk | None, first: Chunk) -> Chunk:
        """Return the first chunk after a lag with what the cursor missed as a gap."""
        if seen is None:
            return first
        lost = max(0, first.first_index - seen.next_index)
        gap = Gap(seen.end, max(seen.end, first.covered_from), lost, "lag")
        # Only heartbeats of an irregular stream were missed: nothing is lost, and the chunk covers
        # their time.
        if not gap.lost and first.rate is None and not first.gap_positions:
            return first._replace(start=gap.start)
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
            # Not a slice, which would copy everything later.
            for k in range(at, len(self._chunks)):
                chunk = self._chunks[k]
                if chunk is None or chunk.covered_from >= t1:
                    break
                found.append(chunk)
        if found and found[-1].end > t1:
            found[-1] = found[-1].between(found[-1].covered_from, t1)
        if found and found[0].covered_from < t0:
            found[0] = found[0].between(t0, found[0].end)
        return found

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what it holds from ``t0`` to before ``t1`` as one chunk.

        Where it holds nothing the chunk is empty, at the start of what comes next.

        Raises
        ------
        ChunkError
            If the log is empty.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        x, y = to_ns(t0), to_ns(t1)
        if y < x:
            msg = f"between({x}, {y}): the end is before the start"
            raise ParameterError(msg)
        found = self.chunks(x, y)
        if found:
            return concat(found)
        newest = self.newest()
        if newest is None:
            msg = f"{self.name}: nothing has come yet"
            raise ChunkError(msg)
        with self._lock:
            at = self._number_at(x) - self._base
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
        return self._base + bisect_right(self._chunks, t, lo=dead, key=_end_of)


def _origin(chunk: Any) -> Chunk:
    """Return an empty chunk at the start of another one."""
    return Chunk.empty(chunk.info, chunk.covered_from, index=chunk.first_index)


def _end_of(chunk: Chunk | None) -> int:
    return chunk.end if chunk is not None else 0
