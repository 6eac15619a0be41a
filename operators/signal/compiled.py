"""Second-order sections over many channels side by side, compiled by numba on import.

The inner loop runs over the channels, so that the processor takes several at a time. Each sum is
rounded as in scipy, however the loop is vectorised.
"""

from typing import Any

from numba import njit
from numpy.typing import NDArray

__all__ = ["filter_rows"]

# signature of `_section`: five coefficients, then the samples and both states, contiguous
_SECTION = "void(f8, f8, f8, f8, f8, f8[:, ::1], f8[::1], f8[::1])"


@njit(_SECTION, nogil=True, cache=True, error_model="numpy")
def _section(
    b0: float, b1: float, b2: float, a1: float, a2: float,
    x: NDArray[Any], z0: NDArray[Any], z1: NDArray[Any],
) -> None:  # fmt: skip
    for t in range(x.shape[0]):
        for c in range(x.shape[1]):
            v = x[t, c]
            y = b0 * v + z0[c]
            z0[c] = b1 * v - a1 * y + z1[c]
            z1[c] = b2 * v - a2 * y
            x[t, c] = y


@njit("void(f8[:, ::1], f8[:, ::1], f8[:, :, ::1])", nogil=True, cache=True, error_model="numpy")
def filter_rows(sos: NDArray[Any], x: NDArray[Any], state: NDArray[Any]) -> None:
    """Filter ``x (n, channels)`` in place with a state ``(sections, 2, channels)``.

    The form is a transposed direct form II, as in ``scipy.signal.sosfilt``.
    """
    for k in range(sos.shape[0]):
        s = sos[k]
        _section(s[0], s[1], s[2], s[4], s[5], x, state[k, 0], state[k, 1])
