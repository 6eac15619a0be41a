"""The window: one shared log of chunks, and a cursor for each reader.

The producer only appends; a reader takes what it has not had, when it can. Past and live are one
log, so going back in time has no seam. The log is bounded in sample time and in bytes; a cursor
that falls out of it obeys its policy, and gets what it missed as a gap.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from math import ceil, log10
from threading import get_ident
from typing import Literal, TypeAlias

from rxstream.data.chunk import Chunk
from rxstream.data.clock import NEVER, Time, now_ns, to_ns
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, LagError, ParameterError, ShortHistoryError
from rxstream.window.store import Place, Store, place_after

__all__ = ["Cursor", "Log", "Policy"]

Policy: TypeAlias = Literal["gap", "latest", "error", "block"]


class Cursor:
    """The position of one reader in the log.

    Attributes
    ----------
    position
        Number of the next chunk to take.
    wake
        Called once when there is something to take, after `Log.take` has returned an empty list.
    seen
        The place up to which it has taken, or where it began; None if nothing had come then.
    thread
        Identifier of the thread that took last.
    dense
        Whether all that was taken last has samples.
    cut
        Time [ns] before which it takes nothing, for a start in the past or the future.
    lost, delivered
        Samples lost to lag, and chunks taken.
    """

    __slots__ = ("cut", "delivered", "dense", "gone", "lost", "name", "policy", "position", "seen",
                 "thread", "wake")  # fmt: skip

    def __init__(self, policy: Policy, wake: Callable[[], None], name: str) -> None:
        self.policy, self.wake, self.name = policy, wake, name
        self.position = 0
        self.seen: Place | None = None
        self.thread = 0
        self.gone = self.dense = False
        self.cut: int | None = None
        self.lost = self.delivered = 0


class Log:
    """Chunks in order, bounded, with cursors.

    Parameters
    ----------
    span
        Sample time kept [ns].
    max_bytes
        Bytes kept: samples, stamps, evidence and bookkeeping; the newest chunk always is.
    name
        Name of the stream, for messages.
    clock
        Returns the time [ns] by which an idle log ages.
    report
        Called once, when the bytes are too few for the span.
    """

    def __init__(
        self,
        span: int,
        max_bytes: int,
        name: str,
        clock: Callable[[], int] = now_ns,
        report: Callable[[ShortHistoryError], None] | None = None,
    ) -> None:
        self.span, self.max_bytes, self.name = span, max_bytes, name
        self._clock, self._report = clock, report
        # Finalizers of a dropped chunk may re-enter, e.g. dispose a subscription.
        self._lock = threading.RLock()
        # Notified when a blocking cursor has moved or left: a producer may wait for it.
        self._moved = threading.Condition(self._lock)
        self._store = Store()
        # `stop` when the clock was last read: as long as that is the same, the log is idle, since
        # about `_appended_at` [ns].
        self._stop_at_look = 0
        self._appended_at = 0
        # Whether bytes have bounded it, and not time: to be reported, once.
        self._short = self._reported = False
        self.ended = self.forgotten = False
        self.error: Exception | None = None
        self._cursors: tuple[Cursor, ...] = ()
        # Cursors that found nothing to take; the next append wakes these, and only these.
        self._idle: list[Cursor] = []
        self._blocking = self._released = False

    # -- writing ------------------------------------------------------------------------------

    def append(self, chunk: Chunk) -> None:
        """Add the newest chunk and wake idle readers; waits only for cursors that block.

        Raises
        ------
        ChunkError
            If it begins before the end of the one before it.
        """
        store = self._store
        with self._lock:
            if self.ended:
                return
            store.append(chunk)
            # Woken without the lock, when other threads may add to the list: so it is replaced.
            idle: list[Cursor] | None = None
            if self._idle:
                idle, self._idle = self._idle, []
            limit, held = store.end - self.span, False
            full = limit >= store.oldest_end or store.nbytes > self.max_bytes
            if full:
                self._trim(limit)
                held = self._blocking and self._is_full(limit)
        if idle:
            if len(idle) == 1:
                idle[0].wake()
            else:
                _wake_all(idle)
        if held:
            self._wait_for_blocking(limit)
        if full and self._short:
            self._report_short()

    def end(self, error: Exception | None = None) -> None:
        """Let every reader finish what is there and then end, with ``error`` if there is one."""
        with self._lock:
            if self.ended:
                return
            self.ended, self.error = True, error
            idle, self._idle = self._idle, []
            self._moved.notify_all()
        _wake_all(idle)

    def forget(self) -> None:
        """End without a word: nobody can append any more.

        It takes no lock. A finalizer calls it, which runs in the midst of anything: also of the
        start of a thread, which another thread waits for with this lock held.
        """
        self.forgotten = not self.ended
        self.ended = True  # before the next line: see `_park`
        idle, self._idle = self._idle, []
        _wake_all(idle)

    def leave_parent(self, error: Exception | None) -> None:
        """Take new locks in a forked child, whose parent's threads may have held the old ones.

        With ``error`` end with it, empty: who appended to it has stayed in the parent.
        """
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)
        if error is not None:
            self._store, self._idle = Store(), []
            for cursor in self._cursors:
                cursor.position, cursor.seen, cursor.cut = 0, None, None
            self.ended, self.error = True, error

    def release(self) -> None:
        """Stop holding the producer; blocking cursors still get everything."""
        with self._lock:
            self._released = True
            self._moved.notify_all()

    def trim_idle(self) -> bool:
        """Expire chunks by the clock while the producer is idle; return whether any are left."""
        with self._lock:
            store, now = self._store, self._clock()
            # not idle: appending has trimmed it
            if self._stop_at_look != store.stop:
                self._stop_at_look, self._appended_at = store.stop, now
            if store.start < store.stop:
                self._trim(store.end + now - self._appended_at - self.span, keep=0)
            return store.start < store.stop

    def clear(self) -> None:
        """Drop everything; a reader that has not had it gets a gap."""
        with self._lock:
            self._store.trim(self._store.end, 0, self._store.stop)

    def _trim(self, limit: int, *, keep: int = 1) -> None:
        """Drop chunks that end by ``limit`` [ns] or are too many bytes; the lock must be held.

        What cursors that block have not had stays.
        """
        before = self._store.stop - keep
        if self._blocking:
            # a loop, and no `min`: this runs for each chunk
            for cursor in self._cursors:
                if cursor.position < before and cursor.policy == "block":
                    before = cursor.position
        if self._store.trim(limit, self.max_bytes, before) and not self._reported:
            self._short = True

    def _wait_for_blocking(self, limit: int) -> None:
        """Trim, and wait for cursors that block, as long as they hold what is too much."""
        store = self._store
        with self._lock:
            while not (self._released or self.ended):
                self._trim(limit)
                behind = [
                    c for c in self._cursors if c.policy == "block" and c.position <= store.start
                ]
                # A thread that appends while it delivers to one of them would wait for itself.
                if not (behind and self._is_full(limit)) or _own(behind):
                    return
                self._moved.wait()

    def _is_full(self, limit: int) -> bool:
        store = self._store
        too_much = limit >= store.oldest_end or store.nbytes > self.max_bytes
        return too_much and store.stop - store.start > 1

    def _report_short(self) -> None:
        self._short, self._reported = False, True
        if self._report is None:
            return
        held, span = self.held, self.span / 1e9
        larger = ""
        if held:
            # what is kept may be more than allowed: the newest chunk stays, however large it is;
            # and room for that one beside the whole history
            store, newest = self._store, self.newest()
            chunk = newest.duration if newest else 0.0
            need = store.nbytes * (span + chunk) / held
            larger = f", as max_bytes={_rounded_up(max(need, self.max_bytes * span / held)):_}"
        msg = (
            f"{self.name}: max_bytes, {self.max_bytes / 1e6:.3g} MB, holds {held:.3g} s of the "
            f"{span:g} s of history; make it more{larger}, or the history shorter"
        )
        self._report(ShortHistoryError(msg))

    # -- readers ------------------------------------------------------------------------------

    def attach(self, cursor: Cursor, since: int | None = None) -> None:
        """Put a cursor at "now", or at the time ``since`` [ns], and wake it if there is work.

        Where chunks after ``since`` were dropped already, it begins with a gap for them.
        """
        with self._lock:
            store = self._store
            cursor.position = store.stop if since is None else store.number_at(since)
            cursor.cut, cursor.seen = since, store.place(cursor.position)
            if since is not None and store.origin is not None and since < store.dropped_end:
                # What it missed begins where the stream did, not before; how many samples it is
                # can be said only there.
                cursor.position -= 1
                cursor.seen = max(store.origin, (since, None), key=_time_of)
            busy = cursor.position < store.stop or self.ended
            self._cursors = (*self._cursors, cursor)
            self._blocking = self._blocking or cursor.policy == "block"
            if not busy:
                self._idle.append(cursor)
        # it may have been forgotten before it was listed
        if busy or self.ended:
            cursor.wake()

    def detach(self, cursor: Cursor) -> None:
        """Forget a cursor; a producer that waits for it goes on."""
        with self._lock:
            cursor.gone = True
            self._cursors = tuple(c for c in self._cursors if c is not cursor)
            self._idle = [c for c in self._idle if c is not cursor]
            self._blocking = any(c.policy == "block" for c in self._cursors)
            self._moved.notify_all()

    def take(self, cursor: Cursor) -> list[Chunk] | None:
        """Return the next chunks for a cursor; an empty list means wait for `Cursor.wake`.

        They are few, or few bytes: who is slow holds no more than these of what the log drops.

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
        store = self._store
        while True:
            with self._lock:
                at, seen, missed = cursor.position, cursor.seen, False
                if at < store.start:
                    at, missed = store.start, True
                if at == store.stop:
                    # What it missed is reported before the next chunk, or at the end: there is no
                    # next chunk yet to carry the gap.
                    if not (cursor.gone or self.ended) and self._park(cursor):
                        return []
                    if cursor.gone or not missed:
                        return None
                if cursor.policy == "latest" and at < store.stop - 1:
                    at, missed = store.stop - 1, True
                # At the end, with everything dropped, an empty chunk alone carries the gap.
                chunks = store.read(at)
                last = chunks[-1]
                cursor.position = min(at + len(chunks), store.stop)
                cursor.seen = place_after(last)
                cursor.delivered += len(chunks)
                cursor.dense = store.newest_empty < at < store.stop
                if cursor.policy == "block":
                    cursor.thread = get_ident()
                    self._moved.notify_all()
            if cursor.cut is not None:
                # What it missed of the time before the cut is not lost to it.
                missed = missed and chunks[0].covered_from >= cursor.cut
                chunks, cursor.dense = _cut(chunks, cursor.cut), False
                if not chunks:
                    continue
            if missed:
                chunks[0] = self._with_lag(cursor, seen or store.origin, chunks[0])
            cursor.cut = None
            return chunks

    def _park(self, cursor: Cursor) -> bool:
        """Have a cursor woken by the next append; return False if there will be none.

        `forget` may come between any two lines: it wakes whom it finds, and is seen otherwise.
        """
        if not cursor.gone and cursor not in self._idle:
            self._idle.append(cursor)
        return not self.ended

    def _with_lag(self, cursor: Cursor, seen: Place | None, first: Chunk) -> Chunk:
        """Return the first chunk after a lag with what the cursor missed as a gap."""
        if seen is None:
            return first
        begin, index = seen
        lost = None if index is None else max(0, first.first_index - index)
        gap = Gap(begin, max(begin, first.covered_from), lost, "lag")
        if cursor.cut is not None:
            gap = gap.between(cursor.cut, gap.end)
        if gap.lost == 0:
            if gap.start == gap.end:
                return first
            # Only heartbeats of an irregular stream were missed: nothing is lost, and the chunk
            # covers their time.
            if first.rate is None and not first.gap_positions:
                return first._replace(start=gap.start)
        cursor.lost += gap.lost or 0
        if cursor.policy == "error":
            msg = (
                f"{self.name}: subscriber {cursor.name} was too slow: {gap}; the window holds "
                f"{self.held:.3g} s; make the history longer, or use another on_lag policy"
            )
            raise LagError(msg)
        return first.with_gap(gap)

    # -- looking ------------------------------------------------------------------------------

    @property
    def start(self) -> int:
        """Number of the oldest chunk held."""
        return self._store.start

    @property
    def stop(self) -> int:
        """Number of the next chunk to come."""
        return self._store.stop

    def newest(self) -> Chunk | None:
        """Return the newest chunk, or None."""
        with self._lock:
            return self._store.get(self._store.stop - 1)

    def since(self, back: int) -> int:
        """Return the time ``back`` [ns] before the end of the newest chunk there ever was."""
        end = self._store.end
        # In an empty log "now" could come after a first chunk that is just arriving.
        return NEVER if end == NEVER else end - back

    def chunks(self, t0: int, t1: int) -> list[Chunk]:
        """Return the chunks from ``t0`` to before ``t1`` [ns], the outer ones cut to fit."""
        with self._lock:
            found = self._store.chunks(t0, t1)
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
        with self._lock:
            store = self._store
            later = store.get(store.number_at(x)) or store.get(store.stop - 1)
        if later is None:
            msg = f"{self.name}: nothing has come yet"
            raise ChunkError(msg)
        return later[:0]

    @property
    def nbytes(self) -> int:
        """Bytes held: samples, stamps, evidence and bookkeeping."""
        return self._store.nbytes

    @property
    def held(self) -> float:
        """Sample time held [s]."""
        with self._lock:
            oldest = self._store.get(self._store.start)
            return 0.0 if oldest is None else (self._store.end - oldest.start) / 1e9

    def cursors(self) -> Sequence[tuple[Cursor, int, float]]:
        """Return each cursor, and how far it is behind in chunks and in sample time [s]."""
        with self._lock:
            stop = self._store.stop
            return [(c, stop - c.position, self._behind(c)) for c in self._cursors]

    def _behind(self, cursor: Cursor) -> float:
        store = self._store
        next_one = store.get(max(cursor.position, store.start))
        if next_one is None:
            return 0.0
        since = next_one.start if cursor.seen is None else cursor.seen[0]
        return (store.end - since) / 1e9


def _wake_all(cursors: list[Cursor]) -> None:
    """Wake cursors: all of them, also where one raises, as by ^C in the thread that appends."""
    at = 0
    try:
        for at, cursor in enumerate(cursors, 1):  # noqa: B007 - how far it came
            cursor.wake()
    except BaseException:
        _wake_all(cursors[at:])
        raise


def _own(cursors: Iterable[Cursor]) -> bool:
    """Whether this thread delivers to one of them."""
    return any(cursor.thread == get_ident() for cursor in cursors)


def _cut(chunks: list[Chunk], begin: int) -> list[Chunk]:
    """Return what lies at ``begin`` [ns] or later."""
    found = [chunk for chunk in chunks if chunk.end > begin]
    if found and found[0].covered_from < begin:
        found[0] = found[0].between(begin, found[0].end)
    return found


def _rounded_up(number: float) -> int:
    """Return a number >= 1 with no more than two digits that are not 0, and no less than it."""
    unit: int = 10 ** max(0, int(log10(number)) - 1)
    return ceil(number / unit) * unit


def _time_of(place: Place) -> int:
    return place[0]
