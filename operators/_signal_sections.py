"""Second-order sections that go on from chunk to chunk, and by how much they are late."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.backend import load_backend
from rxstream.chunk import Chunk
from rxstream.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.info import StreamInfo
from rxstream.operators._signal_runs import (
    Initial,
    OnGap,
    Runs,
    check_numbers,
    check_rate,
    result_type,
)

__all__ = ["Delay", "Design", "Filter", "check_delay", "group_delay", "load_scipy",
           "steady_state"]  # fmt: skip

Delay: TypeAlias = Duration | str | None
Kernel: TypeAlias = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], object]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A filter for one stream.

    Attributes
    ----------
    sos
        Second-order sections ``(sections, 6)``.
    delay
        By how much times are moved [ns].
    steady
        State ``(sections, 2)`` after a long input of 1, or None to begin at rest.
    """

    sos: NDArray[np.float64]
    delay: int
    steady: NDArray[np.float64] | None


class Filter:
    """A `Step`: the filter, with its state; times are moved by its delay."""

    __slots__ = ("_begun", "_bridge", "_design", "_designed", "_given", "_info", "_kernel",
                 "_name", "_runs", "_sos", "_state", "_types")  # fmt: skip

    def __init__(self, name: str, design: Callable[[StreamInfo], Design], on_gap: OnGap) -> None:
        self._name, self._design, self._bridge = name, design, on_gap == "bridge"
        self._kernel = load_kernel()
        self._given: StreamInfo | None = None

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        if chunk.info is not self._given:
            self._begin(chunk.info)
        data = chunk.data
        n, out, signals = len(data), self._types[0], len(self._state)
        filtered = np.empty((n, signals), out)
        for i, j, broken in self._runs.cut(chunk):
            x = np.array(data[i:j].reshape(j - i, signals).T, self._types[1], order="C")
            if broken and not (self._bridge and self._begun):
                self._reset(x[:, 0])
            self._kernel(self._sos, x, self._state)
            filtered[i:j] = x.T
        filtered.flags.writeable = False
        by = -self._designed.delay
        return (
            Chunk(
                filtered.reshape(data.shape), chunk.axis.shifted(by) if by else chunk.axis,
                chunk.start + by, chunk.end + by, chunk.index, self._info,
                tuple((at, gap.shifted(by)) for at, gap in chunk.breaks),
            ),
        )  # fmt: skip

    def flush(self) -> tuple[()]:
        return ()

    def _begin(self, info: StreamInfo) -> None:
        if info == self._given:
            self._given = info
            return
        check_numbers(info, self._name)
        check_rate(info, self._name)
        self._given, self._designed = info, self._design(info)
        self._types = out, dtype = result_type(info.dtype)
        delay = info.extra.get("delay", 0.0) + self._designed.delay / 1e9
        self._info = replace(info, dtype=out, extra={**info.extra, "delay": delay})
        self._sos = np.array(self._designed.sos, dtype, order="C")
        signals = int(np.prod(info.shape, dtype=np.int64))
        self._state = np.zeros((signals, len(self._sos), 2), dtype)
        self._runs, self._begun = Runs(), False

    def _reset(self, first: NDArray[Any]) -> None:
        """Begin anew with these samples ``(signals,)``."""
        self._begun, steady = True, self._designed.steady
        if steady is None:
            self._state[...] = 0
        else:
            self._state[...] = steady * first[:, None, None]


@cache
def load_kernel() -> Kernel:
    """Return what filters ``(signals, n)`` in place with a state ``(signals, sections, 2)``.

    The public ``scipy.signal.sosfilt`` takes 25 µs a call to make sure of its arguments, more than
    filtering takes; so what it calls itself is used, if it is there and gives the same.
    """
    signal = load_scipy()

    def public(sos: NDArray[Any], x: NDArray[Any], state: NDArray[Any]) -> None:
        x[...], after = signal.sosfilt(sos, x, axis=1, zi=state.swapaxes(0, 1))
        state[...] = after.swapaxes(0, 1)

    try:
        module = load_backend("scipy.signal._sosfilt", extra="signal")
        kernel: Kernel = module._sosfilt  # noqa: SLF001 - checked here, and not relied on
        sos = np.array([[0.5, 0.25, 0.125, 1, -0.5, 0.25], [1, 0.5, 0, 1, 0.25, 0]])
        want, got = (np.arange(20.0).reshape(2, 10) for _ in range(2))
        states = np.ones((2, 2, 2)), np.ones((2, 2, 2))
        public(sos, want, states[0])
        kernel(sos, got, states[1])
        same = np.array_equal(want, got) and np.array_equal(*states)
    except Exception:  # noqa: BLE001 - whatever has become of it
        return public
    return kernel if same else public


def load_scipy() -> Any:
    """Return ``scipy.signal``, which the extra ``signal`` installs."""
    return load_backend("scipy.signal", extra="signal")


def steady_state(sos: NDArray[np.float64], initial: Initial) -> NDArray[np.float64] | None:
    """Return the state in which the filter begins, per input.

    Raises
    ------
    ParameterError
        If it has no steady state: it adds up its input for ever.
    """
    if initial == "rest":
        return None
    if not np.all(np.abs(sos[:, 3:].sum(axis=1)) > 0):
        msg = "initial='steady': this filter has a pole at 0 Hz and never settles; use 'rest'"
        raise ParameterError(msg)
    return np.asarray(load_scipy().sosfilt_zi(sos))


def check_delay(delay: Delay) -> int | None:
    """Return a delay given by the user as [ns], or None for the filter's own."""
    if delay is None:
        return 0
    if isinstance(delay, str):
        if delay == "group":
            return None
        msg = f"delay must be 'group', seconds, or None, not {delay!r}"
        raise ParameterError(msg)
    return to_span(delay, "delay", zero=True)


def group_delay(sos: NDArray[np.float64], rate: float, at: float | None = None) -> int:
    """Return by how much a filter is late [ns] at a frequency: its group delay there.

    Parameters
    ----------
    sos
        Second-order sections.
    rate
        Of the samples [Hz].
    at
        Where [Hz]; default: the centre of the pass band, which is what passes with at least half
        of the greatest power.
    """
    w = _centre(sos) if at is None else 2 * np.pi * at / rate
    # minus the slope of the phase, as scipy.signal.group_delay has it, which warns near poles
    z = np.exp(-1j * w) ** np.arange(3)
    slope = ((sos.reshape(-1, 2, 3) * z) @ np.arange(3.0)) / (sos.reshape(-1, 2, 3) @ z)
    late = float((slope[:, 0] - slope[:, 1]).real.sum())
    return round(late * 1e9 / rate)


def _centre(sos: NDArray[np.float64]) -> float:
    """Return the centre of the (widest) pass band [rad/sample]."""
    poles = np.concatenate([np.roots(section[3:]) for section in sos])
    w = np.concatenate(
        [np.geomspace(1e-6, np.pi, 4000), np.linspace(0, np.pi, 4001), np.abs(np.angle(poles))]
    )
    w.sort()
    z = np.exp(-1j * w)[:, None] ** np.arange(3)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.abs(np.prod([(z @ s[:3]) / (z @ s[3:]) for s in sos], axis=0))
    gain[~np.isfinite(gain)] = 0  # exactly on a pole
    passes = gain >= gain.max() * np.sqrt(0.5) * (1 - 1e-9)
    edges = np.flatnonzero(np.diff(passes, prepend=False, append=False)).reshape(-1, 2)
    widest = edges[np.argmax(w[edges[:, 1] - 1] - w[edges[:, 0]])]
    low, high = float(w[widest[0]]), float(w[widest[1] - 1])
    if widest[0] == 0 or widest[1] == len(w):  # a low-pass or high-pass
        return (low + high) / 2
    return float(np.sqrt(low * high))
