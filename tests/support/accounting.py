"""Accounting of what became of each sample of a stream."""

from collections import Counter
from typing import Any

import numpy as np
from faulty_stream import Faulty

from rxstream import Chunk


class Books:
    """What became of each sample of a stream: given, or reported lost, or neither.

    Parameters
    ----------
    name
        Name for messages.
    stream
        The stream whose samples, or times, come out.
    """

    def __init__(self, name: str, stream: Faulty) -> None:
        self.name = name
        self.times, self.gone = stream.times, stream.gone
        self._regular = stream.info.rate is not None
        self._missing = self._counted = 0
        self.given = np.zeros(len(self.times), np.uint8)
        self.lost = np.zeros(len(self.times), np.uint8)
        self.late = np.zeros(len(self.times), bool)  # lost for the reason "lag"
        self.reasons: Counter[str] = Counter()

    def take(self, chunk: Chunk[Any]) -> None:
        """Enter what an operator gave: its samples' values must belong to their times."""
        times = self.times
        if len(chunk):
            stamps = chunk.time
            k = np.rint(chunk.data).astype(np.int64)
            assert np.array_equal(times[k], stamps), self.name
            np.add.at(self.given, k, 1)
        for _, gap in chunk.gap_positions:
            i, j = times.searchsorted((gap.start, gap.end)).tolist()
            if gap.lost is not None:
                self._missing += j - i
                self._counted += gap.lost
                # where a gap is cut among irregular samples nobody knows how many are on each side
                assert gap.lost == j - i or not self._regular, f"{self.name}: {gap}: {j - i}"
            self.lost[i:j] += 1
            self.late[i:j] |= gap.reason == "lag"
            self.reasons[gap.reason] += 1

    def check(self) -> None:
        """Raise AssertionError unless each sample was given once, or reported lost once."""
        wrong = np.flatnonzero(self.given + self.lost != 1)
        assert not len(wrong), (
            f"{self.name}: {len(wrong)} samples: {wrong[:5]} given {self.given[wrong[:5]]} times, "
            f"reported lost {self.lost[wrong[:5]]} times"
        )
        assert not (self.given[self.gone]).any(), self.name
        assert self._counted == self._missing, self.name
