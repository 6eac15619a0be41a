"""gate: pass samples while a signal is on."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.chunk_buffer import ChunkBuffer
from rxstream.data.clock import Duration, to_span
from rxstream.data.equal_stamps import EqualStamps
from rxstream.data.gap import GapAt
from rxstream.data.stamps import equal_again
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.cutting.gate_state import Flags, GateState, Test
from rxstream.printable import shown
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.split import split_at_gaps
from rxstream.steps.stream import Stream, label
from rxstream.validation import is_number

__all__ = ["gate"]


class _Gate:
    __slots__ = ("_after", "_before", "_buffer", "_decided", "_emitted_to", "_end",
                 "_left_out", "_stamps", "_state")  # fmt: skip

    def __init__(self, state: GateState, before: int, after: int) -> None:
        self._state, self._before, self._after = state, before, after
        self._buffer: ChunkBuffer[Any] = ChunkBuffer()  # samples that may pass if the gate opens
        self._decided = 0  # position up to which it is decided which samples pass
        self._emitted_to: int | None = None  # time up to which chunks are out [ns]
        self._end = 0  # of the stream so far [ns]
        self._stamps = EqualStamps()
        # number of the first sample left out since one has passed, or since the last gap
        self._left_out: int | None = None

    def push(self, chunk: Chunk) -> list[Chunk]:
        emitted_to = self._emitted_to
        if emitted_to is None:
            emitted_to = self._emitted_to = chunk.covered_from
        self._end = chunk.end
        passes, opens = self._ask(chunk)
        buffer, horizon = self._buffer, self._horizon(emitted_to)
        # The quick way: nothing is held, and all of the chunk passes, or none.
        if (
            horizon == chunk.end
            and emitted_to >= chunk.covered_from
            and self._decided == buffer.stop
            and not buffer.gap_positions
            and (passes.all() or not passes.any())
        ):
            self._emitted_to = chunk.end
            buffer.skip(chunk)
            if not len(chunk) or not passes[0]:
                return self._without_samples(chunk)
            self._left_out = None
            return [chunk]
        base = buffer.stop
        buffer.append(chunk)
        mask = np.zeros(buffer.stop - self._decided, bool)
        mask[base - self._decided :] = passes
        if len(opens) and self._before:
            self._look_back(mask, opens + (base - self._decided))
        return self._emit(mask, horizon)

    def flush(self) -> list[Chunk]:
        buffer, end, emitted_to = self._buffer, self._end, self._emitted_to
        out: list[Chunk] = []
        if emitted_to is None:
            return out
        if emitted_to < end or self._decided < buffer.stop:
            out = self._emit(np.zeros(buffer.stop - self._decided, bool), end)
        stop = buffer.stop
        rest = tuple(GapAt(0, gap) for _, gap in buffer.gap_positions)
        if rest:  # gaps without length at the very end, which no chunk above includes
            info: Any = buffer.info
            out.append(Chunk.empty(info, end, index=buffer.next_index(stop), gap_positions=rest))
        return out

    def _ask(self, chunk: Chunk) -> tuple[Flags, NDArray[np.intp]]:
        """Return which samples pass but for looking back, and at which ones the gate opens."""
        n, state = len(chunk), self._state
        on, off = state.ask(chunk)
        times = self._stamps.of(chunk) if chunk.info.rate is None else None
        if not chunk.gap_positions and state.stays(on, off):
            if state.open:
                return np.ones(n, bool), np.empty(0, np.intp)
            if state.closed + self._after <= chunk.start:
                return np.zeros(n, bool), np.empty(0, np.intp)
        if times is None:
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

    def _horizon(self, emitted_to: int) -> int:
        """Return the time up to which it is decided what passes [ns]."""
        if self._state.open or not self._before:
            return self._end
        until = min(self._state.closed + self._after, self._end)
        return max(emitted_to, until, self._stamps.until(self._end) - self._before)

    def _look_back(self, mask: Flags, opens: NDArray[np.intp]) -> None:
        """Let samples pass that came at most `before` ahead of an opening."""
        times = self._buffer.axis(self._decided, self._buffer.stop).times()
        if self._buffer.info is not None and self._buffer.info.rate is None:
            times = equal_again(times, None)
        following = opens.searchsorted(np.arange(len(mask)))
        near = times[opens[np.minimum(following, len(opens) - 1)]] - times <= self._before
        mask |= near & (following < len(opens))

    def _emit(self, mask: Flags, horizon: int) -> list[Chunk]:
        """Return what is decided: stretches that pass, and chunks without samples between them."""
        buffer, done, emitted_to = self._buffer, self._decided, self._emitted_to or 0
        stop = buffer.stop
        # What passes is decided, also after the horizon.
        if horizon < self._end:
            passed = np.flatnonzero(mask)
            stop = max(buffer.find(horizon), done + (int(passed[-1]) + 1 if len(passed) else 0))
        mask = mask[: stop - done]
        edges = [done, *(np.flatnonzero(mask[1:] != mask[:-1]) + done + 1).tolist(), stop]
        # a chunk has no place for a jump of the numbers
        jumps = {at for at, _ in buffer.jumps if done < at < stop}
        edges = sorted({*edges, *jumps}) if jumps else edges
        out: list[Chunk] = []
        for i, j in pairwise(edges):
            # A stretch covers the time up to the first sample of the next one.
            until = horizon
            if j < stop:
                axis = buffer.axis(j - 1, j + 1)
                until = max(axis.at(1), axis.at(0) + 1)
            elif i < j:  # the gate may close at the very stamp of what passes
                until = max(horizon, buffer.axis(j - 1, j).at(0) + 1)
            if i < j or emitted_to < until:
                piece = buffer.between(emitted_to, until, i, j)
                if i < j and mask[i - done]:
                    out.append(piece)
                    self._left_out = None
                else:
                    out += self._without_samples(piece)
            emitted_to = until
        self._decided, self._emitted_to = stop, emitted_to
        buffer.trim(stop)
        if buffer.gap_positions:
            buffer.gap_positions = [
                here
                for here in buffer.gap_positions
                if here.gap.end > emitted_to or here.gap.start >= emitted_to
            ]
        return out

    def _without_samples(self, chunk: Chunk) -> list[Chunk]:
        """Return the same time and gaps as chunks without samples.

        There is one for each gap and each stretch, because samples left out count in the index. Of
        a stretch it is that of the first one left out, the same however the stretch was cut.
        """
        info = chunk.info
        out: list[Chunk] = []
        for gaps, piece in split_at_gaps(chunk) if chunk.gap_positions else (([], chunk),):
            if gaps:
                self._left_out = None
                marks = tuple(GapAt(0, gap) for gap in gaps)
                out.append(Chunk.empty(info, piece.start, index=piece.index, gap_positions=marks))
            index = piece.index if self._left_out is None else self._left_out
            if len(piece):
                self._left_out = index
            if piece.start < piece.end or (not gaps and not len(chunk)):
                out.append(Chunk.empty(info, piece.start, piece.end, index=index))
        return out


def _test(given: Any, name: str) -> Test | None:
    """Return a threshold or a function as a function of samples."""
    if given is None or callable(given):
        return given  # type: ignore[no-any-return]
    if not is_number(given) and not isinstance(given, float | np.floating):
        msg = f"gate: {name} must be a number or a function of samples, not {shown(given)}"
        raise ParameterError(msg)
    if not is_number(given) and np.isnan(given):
        msg = f"gate: {name} must not be nan"
        raise ParameterError(msg)

    def is_on(data: NDArray[Any]) -> Any:
        return np.any(numbers(data) >= given, axis=tuple(range(1, data.ndim)))

    def is_off(data: NDArray[Any]) -> Any:
        return np.all(numbers(data) < given, axis=tuple(range(1, data.ndim)))

    def numbers(data: NDArray[Any]) -> NDArray[Any]:
        if data.dtype.kind not in "biuf":
            msg = (
                f"gate: {name}={shown(given)} is compared with numbers, and these are "
                f"{data.dtype}; "
                "choose a field with ops.select, or give a function of samples"
            )
            raise ChunkError(msg)
        return data

    return is_on if name == "on" else is_off


@label
def gate(
    on: float | Test,
    off: float | Test | None = None,
    *,
    hold: Duration = 0.0,
    before: Duration = 0.0,
    after: Duration = 0.0,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Pass samples from where something begins to where it ends, as an audio gate does.

    .. marble::

        --1-2-7-8-4-3-1-9-2--|
        [    gate(6, 3)      ]
        ------7-8-4-3---9----|

    Parameters
    ----------
    on
        Opens the gate: a threshold that at least one channel of a sample reaches (by its value, not
        its magnitude), or a function from samples ``(n, *shape)`` to bool ``(n,)``, which must
        judge each sample by itself.
    off
        Closes the gate: a threshold with all channels below it, or such a function. If it is lower
        than ``on``, a noisy signal does not open and close the gate repeatedly. Default: the
        opposite of ``on``.
    hold
        Time for which the signal must be off without a break before the gate closes [s]. Sound
        crosses zero all the time, so for sound this should be longer than a period.
    before, after
        Time before the gate opens and after it has closed that passes too [s]. While the gate is
        closed, ``before`` delays the output by as much.

    Returns
    -------
    operator
        Chunks of what passes, as it comes, with their times and indices; while nothing passes,
        heartbeats for the operators behind. What is left out is no gap; losses are
        marked, also while the gate is closed. A gap longer than ``hold`` closes the gate, as its
        content is unknown.

    Raises
    ------
    ParameterError
        If ``on`` or ``off`` is no number or function, ``off`` is above ``on``, or a duration is
        negative.
    ChunkError
        Downstream, if a function does not return one bool for each sample.

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
    [7. 8.] 0.2 0.4
    [4. 3.] 0.4 0.6
    [9.] 0.7 0.8
    """
    opens, closes = _test(on, "on"), _test(on if off is None and not callable(on) else off, "off")
    if opens is None:
        msg = "gate: on must be a number or a function of samples, not None"
        raise ParameterError(msg)
    if off is not None and not callable(on) and not callable(off) and off > on:
        msg = (
            f"gate: off must not be above on, or it would close where it opens; {shown(off)} "
            f"> {shown(on)}"
        )
        raise ParameterError(msg)
    keep = to_span(hold, "hold", zero=True)
    early, late = to_span(before, "before", zero=True), to_span(after, "after", zero=True)
    return lift_in_order(lambda: _Gate(GateState(opens, closes, keep), early, late))
