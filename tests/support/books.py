"""Streams that go wrong in virtual time, and the books on what became of each sample."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo

SECOND = 1_000_000_000  # [ns]


class Faulty:
    """A stream in chunks of a second, of which one in a hundred is lost, and two restarts.

    Without a rate [Hz] its samples come at random. Sample ``k``, lost or not, has the value ``k``.
    Nobody knows how many samples the second restart has cost.

    Attributes
    ----------
    times
        Of all samples [ns].
    gone
        Whether each was lost.
    """

    def __init__(self, name: str, seed: int, seconds: int, rate: int | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.info = StreamInfo(name, rate, (), np.dtype(np.int64))
        self.subject: Subject[Chunk] = Subject()
        lost = rng.random(seconds) < 0.01
        lost[[0, -1]] = False
        low, high = seconds // 4, seconds // 2
        lost[[low - 1, low + 10, high - 1, high + 10]] = False
        lost[low : low + 10] = lost[high : high + 10] = True  # somebody pulls the plug
        if rate is not None:
            self.times = np.arange(seconds * rate) * (SECOND // rate)
        else:
            self.times = np.sort(rng.integers(0, seconds * SECOND, 2 * seconds))
        self.gone: NDArray[np.bool_] = lost[self.times // SECOND]
        self._lost, self._unknown, self._index, self._since = lost, high + 10, 0, 0

    def second(self, k: int) -> None:
        """Give the next second, if it is not lost."""
        if k < 0 or self._lost[k]:
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


class Books:
    """What became of each sample of a stream: given, or told as lost, or neither.

    Parameters
    ----------
    name
        What is looked at, for messages.
    stream
        Whose samples, or times, come out.
    """

    def __init__(self, name: str, stream: Faulty) -> None:
        self.name = name
        self.times, self.gone = stream.times, stream.gone
        self._regular = stream.info.rate is not None
        self._missing = self._counted = 0
        self.given = np.zeros(len(self.times), np.uint8)
        self.told = np.zeros(len(self.times), np.uint8)
        self.late = np.zeros(len(self.times), bool)  # told with why "lag"
        self.whys: Counter[str] = Counter()

    def take(self, chunk: Chunk[Any]) -> None:
        """Enter what an operator gave: its samples' values must belong to their times."""
        times = self.times
        if len(chunk):
            stamps = chunk.time
            k = np.rint(chunk.data).astype(np.int64)
            assert np.array_equal(times[k], stamps), self.name
            np.add.at(self.given, k, 1)
        for _, gap in chunk.breaks:
            i, j = times.searchsorted((gap.start, gap.end)).tolist()
            if gap.lost is not None:
                self._missing += j - i
                self._counted += gap.lost
                # where a gap is cut among irregular samples nobody knows how many are on each side
                assert gap.lost == j - i or not self._regular, f"{self.name}: {gap}: {j - i}"
            self.told[i:j] += 1
            self.late[i:j] |= gap.why == "lag"
            self.whys[gap.why] += 1

    def check(self) -> None:
        """Raise AssertionError unless each sample was given once, or told as lost once."""
        wrong = np.flatnonzero(self.given + self.told != 1)
        assert not len(wrong), (
            f"{self.name}: {len(wrong)} samples: {wrong[:5]} given {self.given[wrong[:5]]} times, "
            f"told lost {self.told[wrong[:5]]} times"
        )
        assert not (self.given[self.gone]).any(), self.name
        assert self._counted == self._missing, self.name
