"""Kernels that run second-order sections, over channels one by one or side by side."""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import MissingExtraError
from rxstream.optional import import_optional

__all__ = ["Bank", "bank", "load_compiled", "load_kernel", "load_scipy"]

Kernel: TypeAlias = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], object]

# channels from which on side by side is faster than scipy, which takes them one by one
_MIN_CHANNELS_COMPILED = 4


class Bank(Protocol):
    """A filter of second-order sections, with the state of each channel."""

    def begin(
        self,
        steady: NDArray[np.float64] | None,
        first: NDArray[Any],
        where: NDArray[np.bool_],
    ) -> None:
        """Begin at rest, or as if ``first (channels,)`` had been the input for ever.

        ``steady (sections, 2)`` is the state after a long input of 1; ``where (channels,)`` says
        which channels begin.
        """

    def run(self, x: NDArray[Any]) -> None:
        """Filter ``x (n, channels)``, contiguous, in place."""


def bank(sos: NDArray[np.float64], channels: int, dtype: np.dtype[Any]) -> Bank:
    """Return the fastest filter available for this number of channels; all give equal values."""
    sections = np.array(sos, dtype, order="C")
    compiled = None
    if channels >= _MIN_CHANNELS_COMPILED and dtype == np.float64:
        compiled = load_compiled()
    if compiled is None:
        return _OneByOne(sections, channels, load_kernel())
    return _SideBySide(sections, channels, compiled)


class _OneByOne:
    __slots__ = ("_kernel", "_sos", "_state")

    def __init__(self, sos: NDArray[Any], channels: int, kernel: Kernel) -> None:
        self._sos, self._kernel = sos, kernel
        self._state = np.zeros((channels, len(sos), 2), sos.dtype)

    def begin(
        self,
        steady: NDArray[np.float64] | None,
        first: NDArray[Any],
        where: NDArray[np.bool_],
    ) -> None:
        self._state[where] = 0 if steady is None else steady * first[where, None, None]

    def run(self, x: NDArray[Any]) -> None:
        rows = np.array(x.T, order="C")
        self._kernel(self._sos, rows, self._state)
        x[...] = rows.T


class _SideBySide:
    __slots__ = ("_kernel", "_sos", "_state")

    def __init__(self, sos: NDArray[Any], channels: int, kernel: Kernel) -> None:
        self._sos, self._kernel = sos, kernel
        self._state = np.zeros((len(sos), 2, channels))

    def begin(
        self,
        steady: NDArray[np.float64] | None,
        first: NDArray[Any],
        where: NDArray[np.bool_],
    ) -> None:
        self._state[:, :, where] = 0 if steady is None else steady[:, :, None] * first[where]

    def run(self, x: NDArray[Any]) -> None:
        self._kernel(self._sos, x, self._state)


@cache
def load_compiled() -> Kernel | None:
    """Return the kernel that filters ``(n, channels)`` with a state ``(sections, 2, channels)``.

    It works in place. None without numba, which the extra ``fast`` installs, or where numba fails.
    Compiling takes a second, once: numba caches the result on disk.
    """
    try:
        module = import_optional("rxstream.operators.signal.compiled", extra="fast")
    except (MissingExtraError, RuntimeError):
        # numba raises RuntimeError where it has no support for this numpy, or no folder to cache in
        return None
    kernel: Kernel = module.filter_rows
    return kernel


@cache
def load_kernel() -> Kernel:
    """Return the kernel that filters ``(channels, n)`` with a state ``(channels, sections, 2)``.

    It works in place. The public ``scipy.signal.sosfilt`` spends 25 µs a call on checking its
    arguments, more than on filtering; so the private function it calls is used where it exists and
    gives the same values.
    """
    signal = load_scipy()

    def public(sos: NDArray[Any], x: NDArray[Any], state: NDArray[Any]) -> None:
        x[...], after = signal.sosfilt(sos, x, axis=1, zi=state.swapaxes(0, 1))
        state[...] = after.swapaxes(0, 1)

    try:
        module = import_optional("scipy.signal._sosfilt", extra="signal")
        kernel: Kernel = module._sosfilt  # noqa: SLF001 - compared below with the public one
        sos = np.array([[0.5, 0.25, 0.125, 1, -0.5, 0.25], [1, 0.5, 0, 1, 0.25, 0]])
        want, got = (np.arange(20.0).reshape(2, 10) for _ in range(2))
        states = np.ones((2, 2, 2)), np.ones((2, 2, 2))
        public(sos, want, states[0])
        kernel(sos, got, states[1])
        same = np.array_equal(want, got) and np.array_equal(*states)
    except Exception:  # noqa: BLE001 - a private function may change in any way
        return public
    return kernel if same else public


def load_scipy() -> Any:
    """Return ``scipy.signal``, which the extra ``signal`` installs."""
    return import_optional("scipy.signal", extra="signal")
