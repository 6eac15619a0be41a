"""Clock, delays and losses of a simulated device, and the truth of all that."""

import math
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.devices.simulated.options import Delay, Drops, Stalls
from rxstream.errors import ParameterError

__all__ = ["Blocks", "DeliveryModel", "Lost", "Timeline", "Truth"]

Ints: TypeAlias = NDArray[np.int64]

# blocks, or events, planned at once
_PAGE = 1024
# period of the wander of the clock [ns]
_WANDER_PERIOD = 1200e9
# time of a host to hand over the next of several blocks [ns]
_SPACING = 10_000
# keep the random numbers of delays, events and phase apart
_SALT_DELAY, _SALT_EVENTS, _SALT_PHASE = 1, 2, 3


class Lost(NamedTuple):
    """Samples that never arrived."""

    first: int
    """Number of the first of them."""
    samples: int
    """Their number."""


class Timeline:
    """Times of samples by the device's clock, and true ones, as offsets from sample 0 [ns].

    Parameters
    ----------
    rate
        Nominal, or mean, samples per second [Hz].
    irregular
        Whether they come at random (a Poisson process) or at equal distances.
    seed
        Seed of the random times, and of the phase of the wander.
    ppm, drift, wander
        Error of the device's clock, positive if it is fast [ppm], its change [ppm/h], and the
        amplitude of its swing over 20 minutes [ppm].
    """

    def __init__(
        self, rate: float, irregular: bool, seed: int, ppm: float, drift: float, wander: float
    ) -> None:
        self.period = 1e9 / rate
        self._irregular, self._seed = irregular, seed
        self._slope = 1 / (1 + ppm * 1e-6)
        self._bend = 0.5 * drift * 1e-6 / 3600e9
        self._omega = 2 * math.pi / _WANDER_PERIOD
        self._swing = wander * 1e-6 / self._omega
        rng = np.random.default_rng([seed, _SALT_PHASE])
        self._phase = float(rng.uniform(0, 2 * math.pi))
        self._lock = threading.Lock()
        # start of each page of events, by the device's clock [ns]
        self._starts = [0.0]
        self._page = lru_cache(maxsize=8)(self._make_page)

    def device(self, index: Ints) -> NDArray[np.float64]:
        """Return the times of samples ``(n,)`` by the device's clock [ns]."""
        if not self._irregular:
            return np.multiply(index, self.period, dtype=np.float64)
        out = np.empty(len(index))
        pages = index // _PAGE
        for page in np.unique(pages).tolist():
            mask = pages == page
            out[mask] = self._page(page)[index[mask] % _PAGE]
        return out

    def true(self, device: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the true times of the device's times [ns]."""
        out = device * self._slope
        if self._bend:
            out = out - self._bend * device * device
        if self._swing:
            turn = np.cos(self._omega * device + self._phase)
            out = out + self._swing * (turn - math.cos(self._phase))
        return out

    def host(self, index: Ints) -> Ints:
        """Return the true times of samples ``(n,)``, int64 [ns]."""
        return np.rint(self.true(self.device(index))).astype(np.int64)

    def find(self, offset: int) -> int:
        """Return the number of the first sample at or after a true time [ns]."""
        if offset <= 0 and not self._irregular:
            return 0
        x = np.array([max(0, offset) / self._slope])
        # Newton's method; the true slope is nearly 1
        for _ in range(12):
            x += (offset - self.true(x)) / self._slope
        guess = self._find_device(float(x[0])) if self._irregular else round(x[0] / self.period)
        low = max(0, guess - 2)
        near = self.host(np.arange(low, guess + 3))
        return low + int(near.searchsorted(offset))

    def _find_device(self, x: float) -> int:
        while self._starts[-1] <= x:
            self._start(len(self._starts))
        page = bisect_right(self._starts, x) - 1
        return page * _PAGE + int(self._page(page).searchsorted(x))

    def _start(self, page: int) -> float:
        # called by the device's thread, and by those that ask for the truth
        with self._lock:
            while len(self._starts) <= page:
                last = len(self._starts) - 1
                self._starts.append(self._starts[last] + float(self._intervals(last).sum()))
        return self._starts[page]

    def _make_page(self, page: int) -> NDArray[np.float64]:
        return self._start(page) + np.cumsum(self._intervals(page))

    def _intervals(self, page: int) -> NDArray[np.float64]:
        rng = np.random.default_rng([self._seed, _SALT_EVENTS, page])
        return rng.exponential(self.period, _PAGE)


class Truth:
    """True times and losses, which a simulated device knows and a real one does not.

    Attributes
    ----------
    start
        True host time of sample 0 [ns].
    lost
        Losses in order: `Lost`, pairs of first sample and number of samples. The list grows while
        the device runs; samples lost by an unplug are here after the next opening.
    """

    __slots__ = ("_next", "_timeline", "lost", "start")

    def __init__(self, start: int, timeline: Timeline) -> None:
        self.start, self._timeline = start, timeline
        self.lost: list[Lost] = []
        self._next = 0

    def time(self, index: Any) -> Ints:
        """Return the true host times of samples, int64 ``(n,)`` [ns].

        Parameters
        ----------
        index
            Numbers of the samples ``(n,)``, lost ones included; or one number.

        Raises
        ------
        ParameterError
            If one is negative: there is nothing before sample 0.
        """
        numbers = np.atleast_1d(np.asarray(index)).astype(np.int64)
        if len(numbers) and numbers.min() < 0:
            msg = f"sample {numbers.min()} does not exist; the first is 0"
            raise ParameterError(msg)
        return self._timeline.host(numbers) + self.start

    def find(self, time: int) -> int:
        """Return the number of the first sample at or after a host time [ns]."""
        return self._timeline.find(time - self.start)

    def note(self, first: int, count: int) -> None:
        """Take note that samples ``first`` to before ``first + count`` have arrived."""
        if not count:
            return
        if first > self._next:
            self.lost.append(Lost(self._next, first - self._next))
        self._next = first + count


class Blocks(NamedTuple):
    """Blocks as they arrive, one entry each, int64 ``(m,)``."""

    first: Ints
    """Number of the first sample."""
    size: Ints
    """Samples."""
    lost: Ints
    """Samples lost right before it."""
    arrival: Ints
    """Time of arrival at the host, offset from sample 0 [ns]."""


@dataclass(frozen=True)
class DeliveryModel:
    """Arrivals of blocks, and their losses."""

    timeline: Timeline
    irregular: bool
    blocksize: int
    delay: Delay
    stalls: Stalls | None
    drops: Drops | None
    seed: int

    def blocks(self, first: int, stop: int | None = None) -> Iterator[Blocks]:
        """Yield the blocks from sample ``first`` on, many at a time.

        The last one ends before sample ``stop``, which may make it shorter; None: there is no last.
        """
        size = 1 if self.irregular else self.blocksize
        late = -(1 << 62)
        for page in range(1 << 40):
            rng = np.random.default_rng([self.seed, _SALT_DELAY, first % (1 << 32), page])
            plan, first, late = self._page(rng, first, size, late, stop, fresh=page == 0)
            yield _grouped(plan, self.blocksize) if self.irregular else plan
            if stop is not None and first >= stop:
                return

    def _page(
        self, rng: np.random.Generator, first: int, size: int, late: int, stop: int | None, *,
        fresh: bool,
    ) -> tuple[Blocks, int, int]:  # fmt: skip
        lost = self._losses(rng, size)
        if fresh:
            lost[0] = 0
        firsts = first + np.arange(_PAGE) * size + np.cumsum(lost)
        sizes = np.full(_PAGE, size)
        if stop is not None:
            sizes = np.minimum(sizes, stop - firsts)
        ready = self.timeline.host(firsts + np.maximum(sizes, 1) - 1)
        arrival = self._arrivals(rng, ready, size, late)
        blocks = Blocks(firsts, sizes, lost, arrival)
        if stop is not None:
            blocks = Blocks(*(column[sizes > 0] for column in blocks))
        return blocks, int(firsts[-1]) + size, int(arrival[-1])

    def _losses(self, rng: np.random.Generator, size: int) -> Ints:
        drops, hit = self.drops, rng.random(_PAGE)
        if drops is None:
            return np.zeros(_PAGE, np.int64)
        amount = rng.integers(drops.least, drops.most, _PAGE, endpoint=True)
        if drops.unit == "blocks":
            amount = amount * size
        share = size * self.timeline.period / (drops.every * 1e9)
        return np.where(hit < share, amount, 0)

    def _arrivals(self, rng: np.random.Generator, ready: Ints, size: int, late: int) -> Ints:
        delay = self.delay.draw(rng, _PAGE)
        # a stall is one very late block: those after it queue up behind it
        if self.stalls is not None:
            share = size * self.timeline.period / (self.stalls.every * 1e9)
            length = rng.exponential(self.stalls.length * 1e9, _PAGE)
            delay += np.where(rng.random(_PAGE) < share, length, 0.0)
        arrival = ready + np.rint(delay).astype(np.int64)
        if self.delay.poll:
            poll = round(self.delay.poll * 1e9)
            arrival = -(-arrival // poll) * poll
        step = 0 if self.irregular else min(_SPACING, int(size * self.timeline.period) // 10)
        spacing = np.arange(_PAGE) * step
        arrival[0] = max(int(arrival[0]), late + step)
        return np.maximum.accumulate(arrival - spacing) + spacing


def _grouped(blocks: Blocks, most: int) -> Blocks:
    """Put events that arrive together into one block of up to ``most``."""
    if not len(blocks.first):
        return blocks
    new = np.ones(len(blocks.first), bool)
    new[1:] = (np.diff(blocks.arrival) > 0) | (blocks.lost[1:] > 0)
    starts = np.flatnonzero(new)
    within = np.arange(len(new)) - starts[np.cumsum(new) - 1]
    new |= within % most == 0
    starts = np.flatnonzero(new)
    count = np.diff(np.append(starts, len(new)))
    return Blocks(blocks.first[starts], count, blocks.lost[starts], blocks.arrival[starts])
