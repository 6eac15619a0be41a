"""Streams that go wrong in virtual time: one second in a hundred is lost, and two restarts."""

from typing import Any

import numpy as np
from campaign import at_length
from numpy.typing import NDArray
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo

SECOND = 1_000_000_000  # [ns]
HOURS = 2 if at_length() else 1
SECONDS = HOURS * 3600
RATE = 100


class Faulty:
    """A stream in chunks of a second, of which one in a hundred is lost, and two restarts.

    Sample ``k``, lost or not, has the value ``k``.

    Parameters
    ----------
    rate
        Of its samples [Hz]; without one they come at random.
    subject
        Where its chunks go.
    unknown
        Nobody knows how many samples the second restart has cost.

    Attributes
    ----------
    times
        Of all samples [ns].
    dropped
        Whether each second was lost.
    gone
        Whether each sample was.
    """

    def __init__(
        self, name: str, seed: int, seconds: int, rate: int | None = None,
        subject: Any = None, *, unknown: bool = False,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(seed)
        self.info = StreamInfo(name, rate, (), np.dtype(np.int64))
        self.subject: Any = Subject() if subject is None else subject
        self.dropped = lost = rng.random(seconds) < 0.01
        lost[[0, -1]] = False
        low, high = seconds // 4, seconds // 2
        lost[[low - 1, low + 10, high - 1, high + 10]] = False
        lost[low : low + 10] = lost[high : high + 10] = True  # somebody pulls the plug
        if rate is not None:
            self.times = np.arange(seconds * rate) * (SECOND // rate)
        else:
            self.times = np.sort(rng.integers(0, seconds * SECOND, 2 * seconds))
        self.gone: NDArray[np.bool_] = lost[self.times // SECOND]
        self._unknown = high + 10 if unknown else None
        self._index = self._since = 0

    @property
    def samples(self) -> int:
        """How many samples it gives."""
        return int((~self.gone).sum())

    def second(self, k: int) -> None:
        """Give second ``k``, if there is one and it is not lost; the next one tells."""
        if k < 0 or self.dropped[k]:
            return
        first, i, j = self.times.searchsorted(np.array([self._since, k, k + 1]) * SECOND).tolist()
        gap = None
        if self._since < k:
            why: Any = "restart" if k - self._since >= 10 else "dropped"
            missing = None if k == self._unknown else i - first
            gap = Gap(self._since * SECOND, k * SECOND, missing, why)
            self._index += missing or 0
        data, start = np.arange(i, j), k * SECOND
        if self.info.rate is not None:
            chunk = Chunk.regular(data, self.info, start=start, index=self._index, gap=gap)
        else:
            chunk = Chunk.stamped(
                data, self.times[i:j], self.info, start=start, end=start + SECOND,
                index=self._index, gap=gap,
            )  # fmt: skip
        self._index += j - i
        self._since = k + 1
        self.subject.on_next(chunk)
