"""Filters of second-order sections that run from chunk to chunk, and their delay."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.gap import GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.operators.signal.kernels import bank, load_compiled, load_scipy
from rxstream.operators.signal.numeric import Initial, check_numbers, check_rate, result_type
from rxstream.printable import shown
from rxstream.steps.contiguous_runs import ContiguousRuns, OnGap

__all__ = ["Delay", "Design", "Filter", "OnNan", "check_delay", "group_delay", "steady_state"]

Delay: TypeAlias = Duration | str | None
OnNan = Literal["reset", "propagate"]


_NONE = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A filter for one stream.

    Attributes
    ----------
    sos
        Second-order sections ``(sections, 6)``.
    delay
        Delay for which times are corrected [ns].
    steady
        State ``(sections, 2)`` after a long input of 1, or None to begin at rest.
    """

    sos: NDArray[np.float64]
    delay: int
    steady: NDArray[np.float64] | None


class Filter:
    """A `Step`: a filter with its state; times are corrected for its delay.

    Parameters
    ----------
    name
        Name of the operator, for errors.
    design
        Returns the filter for a stream.
    on_gap
        Whether the state goes on over a gap.
    on_nan
        Whether it goes on over a value that is not finite.
    """

    __slots__ = ("_bank", "_begins", "_begun", "_bridge", "_channels", "_checks", "_design",
                 "_designed", "_given", "_info", "_name", "_on_nan", "_runs",
                 "_types")  # fmt: skip

    def __init__(
        self,
        name: str,
        design: Callable[[StreamInfo], Design],
        on_gap: OnGap,
        on_nan: OnNan = "reset",
    ) -> None:
        self._name, self._design, self._bridge = name, design, on_gap == "bridge"
        self._on_nan = on_nan
        self._given: StreamInfo | None = None
        self._begun = False
        # whether values may be not finite, and are looked at
        self._checks = False
        # channels that begin anew with their next finite value, None if there are none
        self._begins: NDArray[np.bool_] | None = None
        # compiled here, not at the first chunk, where it would hold up the stream's thread
        load_compiled()

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        """Process one chunk; return what is ready."""
        if chunk.info is not self._given:
            self._begin(chunk.info)
        data = chunk.data
        out, dtype = self._types
        filtered = data.astype(dtype, order="C")
        rows = filtered if data.ndim == 2 else filtered.reshape(len(data), self._channels)
        for i, j, broken in self._runs.cut(chunk):
            if broken and not (self._bridge and self._begun):
                self._begun = True
                self._begins = np.ones(self._channels, np.bool_)
            run = rows if j - i == len(rows) else rows[i:j]
            if self._begins is None and not (self._checks and _not_finite(run)):
                self._bank.run(run)
            else:
                self._run_carefully(run)
        if out is not dtype:
            filtered = filtered.astype(out)
        filtered.setflags(write=False)
        by, gap_positions = -self._designed.delay, chunk.gap_positions
        if gap_positions:
            gap_positions = tuple([GapAt(at, gap.shifted(by)) for at, gap in gap_positions])
        axis = chunk.axis.shifted(by) if by else chunk.axis
        start, end = chunk.start + by, chunk.end + by
        return (Chunk(filtered, axis, start, end, chunk.index, self._info, gap_positions),)

    def flush(self) -> tuple[()]:
        """Return what is held back."""
        return ()

    def _run_carefully(self, x: NDArray[Any]) -> None:
        """Filter adjacent samples ``(n, channels)`` in place, where channels begin anew.

        A channel does after values that are not finite, in whose place it gives NaN.
        """
        if self._checks:
            bad = ~np.isfinite(x)
            edges = np.flatnonzero((bad[1:] != bad[:-1]).any(axis=1)) + 1
        else:
            bad, edges = np.zeros((1, self._channels), np.bool_), _NONE
        for i, j in pairwise([0, *edges.tolist(), len(x)]):
            part, lost = x[i:j], bad[i]
            if self._begins is not None:
                self._bank.begin(self._designed.steady, part[0], self._begins & ~lost)
            self._begins = lost if lost.any() else None
            if self._begins is None:
                self._bank.run(part)
                continue
            part[:, lost] = 0
            if not lost.all():
                self._bank.run(part)
            part[:, lost] = np.nan

    def _begin(self, info: StreamInfo) -> None:
        """Design the filter anew for a stream of another description."""
        if info == self._given:
            self._given = info
            return
        check_numbers(info, self._name)
        check_rate(info, self._name)
        self._given, self._designed = info, self._design(info)
        self._types = out, dtype = result_type(info.dtype)
        delay = info.extra.get("delay", 0.0) + self._designed.delay / 1e9
        self._info = replace(info, dtype=out, extra={**info.extra, "delay": delay})
        self._channels = int(np.prod(info.shape, dtype=np.int64))
        self._bank = bank(self._designed.sos, self._channels, dtype)
        self._runs, self._begun = ContiguousRuns(), False
        self._checks = self._on_nan == "reset" and info.dtype.kind in "fc"


def _not_finite(x: NDArray[Any]) -> bool:
    """Whether a value is NaN or infinite."""
    # quicker than `all`, and than a sum, whose overflow would have to be kept quiet
    return bool(np.count_nonzero(np.isfinite(x)) < x.size)


def steady_state(sos: NDArray[np.float64], initial: Initial) -> NDArray[np.float64] | None:
    """Return the initial state ``(sections, 2)`` for an input of 1, or None to begin at rest.

    Raises
    ------
    ParameterError
        If the filter has no steady state, as it integrates its input.
    """
    if initial == "rest":
        return None
    if not np.all(np.abs(sos[:, 3:].sum(axis=1)) > 0):
        msg = "initial='steady': this filter has a pole at 0 Hz and never settles; use 'rest'"
        raise ParameterError(msg)
    return np.asarray(load_scipy().sosfilt_zi(sos))


def check_delay(delay: Delay) -> int | None:
    """Return a user's delay in [ns], or None for the filter's group delay."""
    if delay is None:
        return 0
    if isinstance(delay, str):
        if delay == "group":
            return None
        msg = f"delay must be 'group', seconds, or None, not {shown(delay)}"
        raise ParameterError(msg)
    return to_span(delay, "delay", zero=True)


def group_delay(sos: NDArray[np.float64], rate: float, at: float | None = None) -> int:
    """Return the group delay of a filter at a frequency [ns].

    Parameters
    ----------
    sos
        Second-order sections ``(sections, 6)``.
    rate
        Rate of the samples [Hz].
    at
        Frequency [Hz]; default: the centre of the pass band, whose edges are where half of the
        greatest power passes.
    """
    w = _centre(sos) if at is None else 2 * np.pi * at / rate
    # minus the slope of the phase; scipy.signal.group_delay computes the same, but warns near poles
    z = np.exp(-1j * w) ** np.arange(3)
    slope = ((sos.reshape(-1, 2, 3) * z) @ np.arange(3.0)) / (sos.reshape(-1, 2, 3) @ z)
    samples = float((slope[:, 0] - slope[:, 1]).real.sum())
    return round(samples * 1e9 / rate)


def _centre(sos: NDArray[np.float64]) -> float:
    """Return the centre of the widest pass band [rad/sample]."""
    # even and logarithmic steps, and the poles, where a narrow band may lie between steps
    poles = np.concatenate([np.roots(section[3:]) for section in sos])
    w = np.concatenate(
        [np.geomspace(1e-6, np.pi, 4000), np.linspace(0, np.pi, 4001), np.abs(np.angle(poles))]
    )
    w.sort()
    z = np.exp(-1j * w)[:, None] ** np.arange(3)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.abs(np.prod([(z @ s[:3]) / (z @ s[3:]) for s in sos], axis=0))
    # not finite exactly on a pole
    gain[~np.isfinite(gain)] = 0
    passes = gain >= gain.max() * np.sqrt(0.5) * (1 - 1e-9)
    edges = np.flatnonzero(np.diff(passes, prepend=False, append=False)).reshape(-1, 2)
    widest = edges[np.argmax(w[edges[:, 1] - 1] - w[edges[:, 0]])]
    low, high = float(w[widest[0]]), float(w[widest[1] - 1])
    # of a low-pass or a high-pass the arithmetic mean, of a band the geometric one
    if widest[0] == 0 or widest[1] == len(w):
        return (low + high) / 2
    return float(np.sqrt(low * high))
