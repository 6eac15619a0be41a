"""What goes through second-order sections: one signal after the other, or side by side."""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import MissingExtraError
from rxstream.optional import import_optional

__all__ = ["Bank", "bank", "load_compiled", "load_kernel", "load_scipy"]

Kernel: TypeAlias = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], object]

_FEW = 4  # signals, below which scipy is as quick


class Bank(Protocol):
    """The sections of a filter with the state of each signal."""

    def begin(self, steady: NDArray[np.float64] | None, first: NDArray[Any]) -> None:
        """Begin at rest, or as if ``first (signals,)`` had been there for ever.

        ``steady (sections, 2)`` is the state after a long input of 1.
        """

    def run(self, x: NDArray[Any]) -> None:
        """Filter ``x (n, signals)``, contiguous, in place."""


def bank(sos: NDArray[np.float64], signals: int, dtype: np.dtype[Any]) -> Bank:
    """Return the quickest that there is for so many signals; the values are the same."""
    sections = np.array(sos, dtype, order="C")
    compiled = load_compiled() if signals >= _FEW and dtype == np.float64 else None
    if compiled is None:
        return _OneByOne(sections, signals, load_kernel())
    return _SideBySide(sections, signals, compiled)


class _OneByOne:
    __slots__ = ("_kernel", "_sos", "_state")

    def __init__(self, sos: NDArray[Any], signals: int, kernel: Kernel) -> None:
        self._sos, self._kernel = sos, kernel
        self._state = np.zeros((signals, len(sos), 2), sos.dtype)

    def begin(self, steady: NDArray[np.float64] | None, first: NDArray[Any]) -> None:
        self._state[...] = 0 if steady is None else steady * first[:, None, None]

    def run(self, x: NDArray[Any]) -> None:
        signals = np.array(x.T, order="C")
        self._kernel(self._sos, signals, self._state)
        x[...] = signals.T


class _SideBySide:
    __slots__ = ("_kernel", "_sos", "_state")

    def __init__(self, sos: NDArray[Any], signals: int, kernel: Kernel) -> None:
        self._sos, self._kernel = sos, kernel
        self._state = np.zeros((len(sos), 2, signals))

    def begin(self, steady: NDArray[np.float64] | None, first: NDArray[Any]) -> None:
        self._state[...] = 0 if steady is None else steady[:, :, None] * first

    def run(self, x: NDArray[Any]) -> None:
        self._kernel(self._sos, x, self._state)


@cache
def load_compiled() -> Kernel | None:
    """Return what filters ``(n, signals)`` in place with a state ``(sections, 2, signals)``.

    None without numba, which the extra ``fast`` installs, or if it cannot work here. Compiling
    takes a second, once: numba keeps the result on the disk.
    """
    try:
        module = import_optional("rxstream.operators.signal.compiled", extra="fast")
    except (MissingExtraError, RuntimeError):  # no numba for this numpy; nowhere to keep the result
        return None
    kernel: Kernel = module.filter_rows
    return kernel


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
        module = import_optional("scipy.signal._sosfilt", extra="signal")
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
    return import_optional("scipy.signal", extra="signal")
