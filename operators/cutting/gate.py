"""gate: pass samples only while something is going on."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, to_span
from rxstream.data.gap import GapAt
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.cutting.gate_state import Flags, GateState, Test
from rxstream.operators.losses.gaps import stretches
from rxstream.steps.lift import lift

__all__ = ["gate"]

_NONE = np.empty(0, np.intp)


class _Gate:
    __slots__ = ("_after", "_before", "_done", "_end", "_state", "_tape", "_told")

    def __init__(self, state: GateState, before: int, after: int) -> None:
        self._state, self._before, self._after = state, before, after
        self._tape: ChunkBuffer[Any] = ChunkBuffer()  # what may still pass if the gate opens
        self._done = 0  # position up to which that is decided
        self._told: int | None = None  # up to where chunks are out [ns]
        self._end = 0  # of the stream so far [ns]

    def push(self, chunk: Chunk) -> list[Chunk]:
        told = self._told
        if told is None:
            told = self._told = chunk.covered_from
        self._end = chunk.end
        passes, opens = self._ask(chunk)
        tape, horizon = self._tape, self._horizon(told)
        if (
            horizon == chunk.end
            and told >= chunk.covered_from
            and self._done == tape.stop
            and not tape.gap_positions
            and (passes.all() or not passes.any())
        ):  # nothing is kept, and all of it passes, or none
            self._told = chunk.end
            return [chunk] if len(chunk) and passes[0] else _without_samples(chunk)
        base = tape.stop
        tape.append(chunk)
        mask = np.zeros(tape.stop - self._done, bool)
        mask[base - self._done :] = passes
        if len(opens) and self._before:
            self._look_back(mask, opens + (base - self._done))
        return self._give(mask, horizon)

    def flush(self) -> list[Chunk]:
        tape, end, told = self._tape, self._end, self._told
        out: list[Chunk] = []
        if told is None:
            return out
        if told < end or self._done < tape.stop:
            out = self._give(np.zeros(tape.stop - self._done, bool), end)
        stop = tape.stop
        rest = tuple(GapAt(0, gap) for _, gap in tape.gap_positions)
        if rest:  # without length, at the very end
            info: Any = tape.info
            empty = (tape.data(stop, stop), tape.axis(stop, stop), end, end, tape.index(stop), info)
            out.append(Chunk(*empty, rest))
        return out

    def _ask(self, chunk: Chunk) -> tuple[Flags, NDArray[np.intp]]:
        """Return which samples pass as far as is known, and at which ones the gate opens."""
        n, state = len(chunk), self._state
        on, off = state.ask(chunk)
        if not chunk.gap_positions and state.stays(on, off):
            if state.open:
                return np.ones(n, bool), _NONE
            if state.closed + self._after <= chunk.start:
                return np.zeros(n, bool), _NONE
        times = chunk.time
        passes, opens = np.zeros(n, bool), np.zeros(n, bool)
        i = 0
        for j, gap in (*chunk.gap_positions, (n, None)):
            if i < j:
                was_open = state.open
                is_open, closed = state.push(on[i:j], off[i:j], times[i:j])
                passes[i:j] = is_open | (times[i:j] - self._after < closed)
                opens[i:j] = is_open & ~np.concatenate(([was_open], is_open[:-1]))
            if gap is not None:
                state.lose(gap)
            i = j
        return passes, np.flatnonzero(opens)

    def _horizon(self, told: int) -> int:
        """Return up to where it is decided what passes [ns]."""
        if self._state.open or not self._before:
            return self._end
        until = min(self._state.closed + self._after, self._end)
        return max(told, until, self._end - self._before)

    def _look_back(self, mask: Flags, opens: NDArray[np.intp]) -> None:
        """Let pass what came not long before the gate opened."""
        times = self._tape.axis(self._done, self._tape.stop).times()
        following = opens.searchsorted(np.arange(len(mask)))
        near = times[opens[np.minimum(following, len(opens) - 1)]] - times <= self._before
        mask |= near & (following < len(opens))

    def _give(self, mask: Flags, horizon: int) -> list[Chunk]:
        """Give what is decided: stretches that pass, and chunks without samples between them."""
        tape, done, told = self._tape, self._done, self._told or 0
        stop = tape.stop
        if horizon < self._end:
            passed = np.flatnonzero(mask)
            stop = max(tape.find(horizon), done + (int(passed[-1]) + 1 if len(passed) else 0))
        mask = mask[: stop - done]
        edges = [done, *(np.flatnonzero(mask[1:] != mask[:-1]) + done + 1).tolist(), stop]
        out: list[Chunk] = []
        for k in range(len(edges) - 1):
            i, j = edges[k], edges[k + 1]
            until = horizon
            if j < stop:
                axis = tape.axis(j - 1, j + 1)
                until = max(axis.at(1), axis.at(0) + 1)
            if i < j or told < until:
                piece = tape.between(told, until, i, j)
                out += [piece] if i < j and mask[i - done] else _without_samples(piece)
            told = until
        self._done, self._told = stop, told
        tape.trim(stop)
        if tape.gap_positions:
            tape.gap_positions = [
                b for b in tape.gap_positions if b[1].end > told or b[1].start >= told
            ]
        return out


def _without_samples(chunk: Chunk) -> list[Chunk]:
    """Return the same time and gaps, as heartbeats.

    Numbers go on where samples are left out, so a gap must come before those after it.
    """
    n = len(chunk)
    if not n:
        return [chunk]
    empty, info = (chunk.data[:0], chunk.axis.cut(0, 0)), chunk.info
    if not chunk.gap_positions:
        return [Chunk(*empty, chunk.start, chunk.end, chunk.index + n, info)]
    out: list[Chunk] = []
    for gaps, piece in stretches(chunk):
        start, index = piece.start, piece.index
        if gaps:
            out.append(
                Chunk(*empty, start, start, index, info, tuple(GapAt(0, gap) for gap in gaps))
            )
        if start < piece.end:
            out.append(Chunk(*empty, start, piece.end, index + len(piece), info))
    return out


def _test(given: Any, name: str) -> Test | None:
    """Return a threshold or a function as a function of samples."""
    if given is None or callable(given):
        return given  # type: ignore[no-any-return]
    if not isinstance(given, int | float | np.integer | np.floating) or isinstance(given, bool):
        msg = f"gate: {name} must be a number or a function of samples, not {given!r}"
        raise ParameterError(msg)
    if np.isnan(given):
        msg = f"gate: {name} must not be nan"
        raise ParameterError(msg)

    def is_on(data: NDArray[Any]) -> Any:
        return np.any(numbers(data) >= given, axis=tuple(range(1, data.ndim)))

    def is_off(data: NDArray[Any]) -> Any:
        return np.all(numbers(data) < given, axis=tuple(range(1, data.ndim)))

    def numbers(data: NDArray[Any]) -> NDArray[Any]:
        if data.dtype.kind not in "biuf":
            msg = (
                f"gate: {name}={given!r} is compared with numbers, and these are {data.dtype}; "
                "choose a field with ops.select, or give a function of samples"
            )
            raise ChunkError(msg)
        return data

    return is_on if name == "on" else is_off


def gate(
    on: float | Test,
    off: float | Test | None = None,
    *,
    hold: Duration = 0.0,
    before: Duration = 0.0,
    after: Duration = 0.0,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Pass samples from where something begins to where it ends, as an audio gate does.

    .. marble::

        --1-2-7-8-4-3-1-9-2--|
        [    gate(6, 3)      ]
        ------7-8-4-3---9----|

    Parameters
    ----------
    on
        Opens it: a threshold, reached by at least one channel of a sample (not by its magnitude),
        or a function from samples ``(n, *shape)`` to bool ``(n,)``, which must look at each by
        itself.
    off
        Closes it: a threshold with all channels below it, or such a function. Lower than ``on``, a
        wavering signal does not open and close it again and again. Default: where ``on`` is not.
    hold
        It closes only when it has been off for so long without a break [s]; a sound crosses zero
        all the time, so this should be longer than a period.
    before, after
        So much passes too, before it opens and after it has closed [s]. Looking back delays what
        comes by ``before`` while it is closed.

    Returns
    -------
    operator
        Chunks of what passes, as it comes, with their times and indices; between such stretches,
        and while nothing passes, chunks without samples. What is left out is no gap; what was lost
        is told, also while it is closed. A gap longer than ``hold`` closes it: nobody knows what
        was in it.

    Raises
    ------
    ParameterError
        If ``on`` or ``off`` is no number or function, ``off`` is above ``on``, or a duration is
        negative.
    ChunkError
        Downstream, if a function does not give one bool for each sample.

    See Also
    --------
    sessions : for events.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> level = np.array([1.0, 2, 7, 8, 4, 3, 1, 9, 2])
    >>> whole = Chunk.regular(level, StreamInfo("level", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:4], whole[4:]).pipe(gate(6, 3)).subscribe(
    ...     lambda c: print(c.data, c.start / 1e9, c.end / 1e9)).dispose()
    [] 0.0 0.2
    [7. 8.] 0.2 0.4
    [4. 3.] 0.4 0.6
    [] 0.6 0.7
    [9.] 0.7 0.8
    [] 0.8 0.9
    """
    opens, closes = _test(on, "on"), _test(on if off is None and not callable(on) else off, "off")
    if opens is None:
        msg = "gate: on must be a number or a function of samples, not None"
        raise ParameterError(msg)
    if off is not None and not callable(on) and not callable(off) and off > on:
        msg = f"gate: off must not be above on, or it would close where it opens; {off!r} > {on!r}"
        raise ParameterError(msg)
    keep = to_span(hold, "hold", zero=True)
    early, late = to_span(before, "before", zero=True), to_span(after, "after", zero=True)
    return lift(lambda: _Gate(GateState(opens, closes, keep), early, late))
