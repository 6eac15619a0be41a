"""State of a gate: a hysteresis whose levels are functions of the samples."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.errors import ChunkError
from rxstream.steps.hysteresis import Flags, Hysteresis

__all__ = ["Flags", "GateState", "Test"]

Test: TypeAlias = Callable[[NDArray[Any]], Any]


class GateState(Hysteresis):
    """Whether a gate is open, sample by sample; padding is left to the gate.

    Parameters
    ----------
    on
        Gives a bool for each sample: whether it opens the gate.
    off
        Whether a sample that does not open it closes it; None: each does.
    hold
        As for `Hysteresis` [ns].
    """

    __slots__ = ("_off", "_on")

    def __init__(self, on: Test, off: Test | None, hold: int) -> None:
        super().__init__(hold)
        self._on, self._off = on, off

    def ask(self, chunk: Chunk) -> tuple[Flags, Flags]:
        """Return at which samples of a chunk it is on, and at which off and not on, ``(n,)``."""
        on = _flags(self._on, chunk, "on")
        return on, ~on if self._off is None else _flags(self._off, chunk, "off") & ~on


def _flags(test: Test, chunk: Chunk, name: str) -> Flags:
    """Return what a function says of each sample of a chunk, ``(n,)``."""
    if not len(chunk):
        return np.zeros(0, np.bool_)
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
