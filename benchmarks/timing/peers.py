"""Times of samples by other methods, for `timestamps.py`.

Each peer is ``f(x, y, trace) -> times``: ``x`` device time by the naive rules, ``y`` arrival, both
of each chunk's last sample ``(n,)`` [s]. Parameters are the peers' own defaults where they have
some. All but pyxdf are re-implementations from the published formulae or the documented behaviour,
as they are parts of larger programs. pyxdf's own code runs where it is installed. liblsl runs only
inside an inlet; `timing/lsl.py` sends a trace through one, and `lsl` agrees to a nanosecond.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.tangent import lower_hull
from timing.traces import Trace

__all__ = ["OFFLINE", "ONLINE"]

Floats = NDArray[np.float64]
Peer = Callable[[Floats, Floats, Trace], Floats]


def _pairs(x: Floats, y: Floats) -> Iterator[tuple[float, float]]:
    return zip(x.tolist(), y.tolist(), strict=True)


def arrival(x: Floats, y: Floats, trace: Trace) -> Floats:
    """Read, then ask the clock."""
    return y


def stream2py(x: Floats, y: Floats, trace: Trace) -> Floats:
    """Count samples from the first arrival; ask the clock again every 1000 s."""
    out, end, asked, before = [], 0.0, -math.inf, 0.0
    for dx, t in zip(np.diff(x, prepend=x[0]).tolist(), y.tolist(), strict=True):
        end += dx
        if t - asked > 1000.0:
            end = asked = t
        before = end = max(end, before)
        out.append(end)
    return np.array(out)


def lsl(x: Floats, y: Floats, trace: Trace) -> Floats:
    """liblsl's dejitter: recursive least squares of arrival on time, half-life 90 s."""
    forget = 2.0 ** (-float(np.mean(np.diff(x))) / 90.0)
    weight, cov, out = np.array([0.0, 1.0]), np.eye(2) * 1e10, []
    for u, t in _pairs(x - x[0], y - y[0]):
        row = np.array([1.0, u])
        gain = cov @ row / (forget + row @ cov @ row)
        weight = weight + gain * (t - row @ weight)
        cov = (cov - np.outer(gain, row @ cov)) / forget
        out.append(float(row @ weight))
    return np.array(out) + y[0]


def dll(x: Floats, y: Floats, trace: Trace) -> Floats:
    """JACK's second-order delay-locked loop (Adriaensen 2005), 0.1 Hz, ten times wider at first."""
    period = float(np.mean(np.diff(x)))

    def coefficients(bandwidth: float) -> tuple[float, float]:
        w = min(2 * math.pi * bandwidth * period, 0.5)
        return math.sqrt(2) * w, w * w

    quick, slow = coefficients(1.0), coefficients(0.1)
    t, rate, before, begun, out = float(y[0]), 1.0, float(x[0]), float(y[0]), [float(y[0])]
    for u, a in _pairs(x[1:], y[1:]):
        guess = t + rate * (u - before)
        before, error = u, a - guess
        # As JACK does on an xrun.
        if abs(error) > period + 0.2:
            t = begun = a
        else:
            b, c = quick if a - begun < 2 else slow
            t, rate = guess + b * error, min(max(rate + c * error / period, 0.999), 1.001)
        out.append(t)
    return np.array(out)


def kalman(x: Floats, y: Floats, trace: Trace) -> Floats:
    """Offset and skew by a Kalman filter that rejects arrivals beyond 1 sigma (cuckoo)."""
    state, cov, noise = np.array([y[0] - x[0], 0.0]), np.diag([4e-6, 1e-6]), 4e-6
    seen, out = float(x[0]), []
    for u, a in _pairs(x, y):
        dt = u - seen
        if dt >= 0.5:
            seen = u
            move = np.array([[1.0, dt], [0.0, 1.0]])
            state, cov = move @ state, move @ cov @ move.T + np.diag([0.0, 4e-12 * dt])
            error, size = a - u - state[0], cov[0, 0] + noise
            if error * error <= size:
                gain = cov[:, 0] / size
                state, cov = state + gain * error, cov - np.outer(gain, cov[0])
            dt = 0.0
        out.append(u + state[0] + state[1] * dt)
    return np.array(out)


class _Hull:
    """The lower hull of all points, and its edge over the middle (Zhang, Liu & Xia 2002)."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.r: list[float] = []

    def add(self, u: float, a: float) -> float:
        x, r, new = self.x, self.r, a - u
        if x and u <= x[-1]:
            return a
        while len(x) >= 2 and (r[-1] - r[-2]) * (u - x[-2]) >= (new - r[-2]) * (x[-1] - x[-2]):
            x.pop()
            r.pop()
        x.append(u)
        r.append(new)
        if len(x) < 3:
            return a
        j = max(bisect_left(x, (x[0] + u) / 2) - 1, 0)
        return u + r[j] + (r[j + 1] - r[j]) / (x[j + 1] - x[j]) * (u - x[j])


def hull(x: Floats, y: Floats, trace: Trace) -> Floats:
    """The convex hull of all delays."""
    whole = _Hull()
    return np.array([whole.add(u, a) for u, a in _pairs(x, y)])


def hull_switched(x: Floats, y: Floats, trace: Trace) -> Floats:
    """Two hulls in turn, swapped every 60 s (cuckoo's SwitchingOwt)."""
    old, new, begun, out = _Hull(), _Hull(), -math.inf, []
    for u, a in _pairs(x, y):
        if a >= begun + 60.0:
            old, new, begun = new, _Hull(), a
        new.add(u, a)
        out.append(old.add(u, a))
    return np.array(out)


def lowest_10s(x: Floats, y: Floats, trace: Trace) -> Floats:
    """The least delay of the last 10 s."""
    queue: deque[tuple[float, float]] = deque()
    out = []
    for u, a in _pairs(x, y):
        while queue and queue[-1][1] >= a - u:
            queue.pop()
        queue.append((u, a - u))
        while queue[0][0] < u - 10.0:
            queue.popleft()
        out.append(u + queue[0][1])
    return np.array(out)


def gstreamer(x: Floats, y: Floats, trace: Trace) -> Floats:
    """rtpjitterbuffer: the least of 512 packets or 2 s, smoothed by 1/125; resync at 1 s."""
    base_x, base_y, skew, size, out = float(x[0]), float(y[0]), 0.0, 0, []
    window: list[float] = []
    for u, a in _pairs(x, y):
        delay = a - base_y - (u - base_x)
        if abs(delay - skew) > 1.0:
            base_x, base_y, skew, delay, size, window = u, a, 0.0, 0.0, 0, []
        window.append(delay)
        if not size:
            part = max((u - base_x) / 2.0, len(window) / 512)
            lowest = min(window)
            if part >= 1:
                size, skew = len(window), lowest
            else:
                skew += part * part * (lowest - skew)
        else:
            del window[:-size]
            skew += (min(window) - skew) / 125
        out.append(max(base_y + u - base_x + skew, out[-1] if out else -math.inf))
    return np.array(out)


def olson(x: Floats, y: Floats, trace: Trace) -> Floats:
    """A passive bound that rises by 200 ppm (Olson 2010)."""
    offset, before, out = math.inf, float(x[0]), []
    for u, a in _pairs(x, y):
        offset = min(offset + 2e-4 * abs(u - before), a - u)
        before = u
        out.append(u + offset)
    return np.array(out)


def midpoint(x: Floats, y: Floats, trace: Trace) -> Floats:
    """The middle of the bounds (Cristian 1989)."""
    if trace.lower is None or trace.upper is None:
        return np.full(len(y), np.nan)
    return (trace.lower + (trace.upper - trace.lower) / 2 - trace.arrival[0]) / 1e9


def pyxdf(x: Floats, y: Floats, trace: Trace) -> Floats:
    """A straight line through each segment, broken at 1 s or 500 samples; pyxdf's own code."""
    try:
        from pyxdf.pyxdf import _jitter_removal
    except ImportError:
        return _segments(y, trace)
    step = 1 / (trace.rate or 1 / float(np.mean(np.diff(x))))
    stream = SimpleNamespace(
        time_stamps=y.copy(), srate=len(x) / float(x[-1] - x[0]), tdiff=step, segments=[]
    )
    _jitter_removal({1: stream})
    return stream.time_stamps


def _segments(y: Floats, trace: Trace) -> Floats:
    """The same, re-implemented."""
    least = max(1.0, 500 / (trace.rate or 500))
    out = np.empty(len(y))
    for part in np.split(np.arange(len(y)), np.flatnonzero(np.diff(y) > least) + 1):
        out[part] = np.polyval(
            np.polyfit(part - part[0], y[part], min(len(part) - 1, 1)), part - part[0]
        )
    return out


def moon(x: Floats, y: Floats, trace: Trace) -> Floats:
    """The line under all delays that is nearest to them (Moon, Skelly & Towsley 1999)."""
    xs, rs = lower_hull(x.tolist(), (y - x).tolist())
    if len(xs) < 2:
        return y
    j = min(max(bisect_left(xs, float(x.mean())) - 1, 0), len(xs) - 2)
    return x + rs[j] + (rs[j + 1] - rs[j]) / (xs[j + 1] - xs[j]) * (x - xs[j])


ONLINE: dict[str, Peer] = {
    f.__name__: f
    for f in (
        arrival, stream2py, lsl, dll, kalman, hull, hull_switched, lowest_10s, gstreamer, olson,
        midpoint,
    )
}  # fmt: skip
OFFLINE: dict[str, Peer] = {f.__name__: f for f in (pyxdf, moon)}
