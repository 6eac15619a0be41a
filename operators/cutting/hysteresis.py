"""Whether something is on: it begins at one level and ends at another."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError

__all__ = ["Flags", "Hysteresis", "Test"]

Flags: TypeAlias = NDArray[np.bool_]
Test: TypeAlias = Callable[[NDArray[Any]], Any]
_LONG_AGO = -(1 << 63)


class Hysteresis:
    """The state of a gate, sample by sample; what padding adds is not its business."""

    __slots__ = ("_hold", "_off", "_on", "_since", "closed", "open")

    def __init__(self, on: Test, off: Test | None, hold: int) -> None:
        self._on, self._off, self._hold = on, off, hold
        self._since: int | None = None  # from when on it has been off [ns]
        self.open = False
        self.closed = _LONG_AGO  # when it closed last [ns]

    def ask(self, chunk: Chunk) -> tuple[Flags, Flags]:
        """Return where the samples of a chunk say on, and where they say off and not on."""
        on = _flags(self._on, chunk, "on")
        return on, ~on if self._off is None else _flags(self._off, chunk, "off") & ~on

    def stays(self, on: Flags, off: Flags) -> bool:
        """Return whether it neither opens nor closes nor is about to."""
        return self._since is None and not off.any() if self.open else not on.any()

    def push(
        self, on: Flags, off: Flags, times: NDArray[np.int64]
    ) -> tuple[Flags, NDArray[np.int64]]:
        """Return at which samples it is open, and when it had closed last before each [ns]."""
        n = len(on)
        places = np.arange(n)
        before = np.concatenate(([self._since is not None], off[:-1]))
        begun = np.maximum.accumulate(np.where(off & ~before, places, -1))
        first = 0 if self._since is None else self._since
        since = np.where(begun < 0, first, times[begun])  # of this run of offs, or the one before
        over = (off | before) & (times - since >= self._hold)
        decided = np.maximum.accumulate(np.where(on | over, places, -1))
        is_open = np.where(decided < 0, self.open, on[decided])
        was_open = np.concatenate(([self.open], is_open[:-1]))
        last = np.maximum.accumulate(np.where(was_open & ~is_open, places, -1))
        closed = np.where(last < 0, self.closed, since[last] + self._hold)
        self._since = int(since[-1]) if off[-1] else None
        self.open, self.closed = bool(is_open[-1]), int(closed[-1])
        return is_open, closed

    def lose(self, gap: Gap) -> None:
        """Take a gap: what was in a long one nobody knows."""
        whole = gap.whole or gap
        if whole.end - whole.start <= self._hold:
            return
        if self.open:
            over = whole.start if self._since is None else self._since + self._hold
            self.open, self.closed = False, min(over, whole.start)


def _flags(test: Test, chunk: Chunk, name: str) -> Flags:
    try:
        flags = np.asarray(test(chunk.data))
    except Exception as error:
        error.add_note(f"gate: {name}, asked of {chunk.info.name}: {chunk.data.dtype} samples")
        raise
    if flags.shape != (len(chunk),) or flags.dtype != np.bool_:
        msg = (
            f"gate: {name} must give one bool for each sample, ({len(chunk)},), and gave "
            f"{flags.shape} {flags.dtype} for {chunk.data.shape}; use .any(axis=1) over channels"
        )
        raise ChunkError(msg)
    return flags
