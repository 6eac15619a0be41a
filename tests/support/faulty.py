"""Two hours of streams that lose one second in a hundred and are unplugged twice."""

from typing import Any

import numpy as np
from reactivex import abc

from rxstream import Chunk, Gap, StreamInfo

SECOND = 1_000_000_000
HOURS = 2
SECONDS = HOURS * 3600
RATE = 100


class Faulty:
    """A regular stream of whole seconds, of which one in a hundred is dropped, and two restarts.

    Parameters
    ----------
    subject
        Where its chunks go.
    rate
        Samples in each of them.
    """

    def __init__(
        self, name: str, seed: int, subject: "abc.ObserverBase[Any]", rate: int = RATE
    ) -> None:
        self.info, self.rate = StreamInfo(name, float(rate), (), np.dtype(np.int64)), rate
        self.dropped = np.random.default_rng(seed).random(SECONDS) < 0.01
        self.dropped[[0, -1]] = False
        self.dropped[2000:2010] = self.dropped[5000:5010] = True  # somebody pulls the plug
        self._subject, self._lost = subject, 0

    @property
    def samples(self) -> int:
        """How many samples it gives."""
        return int((~self.dropped).sum()) * self.rate

    def second(self, k: int) -> None:
        """Give second ``k``, or lose it; the next one tells."""
        if self.dropped[k]:
            self._lost += 1
            return
        index, gap = k * self.rate, None
        if self._lost:
            why: Any = "restart" if self._lost >= 10 else "dropped"
            gap = Gap((k - self._lost) * SECOND, k * SECOND, self._lost * self.rate, why)
            self._lost = 0
        data = np.arange(index, index + self.rate)
        chunk = Chunk.regular(data, self.info, start=k * SECOND, index=index, gap=gap)
        self._subject.on_next(chunk)
