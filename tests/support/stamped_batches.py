"""Rows with stamps that are sent several at a time, with a pause before each batch."""

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from rxstream import Chunk

__all__ = ["assert_distances", "stamped_batches"]

_BATCHES, _ROWS, _STEP = 4, 6, 0.05


def stamped_batches() -> Iterator[str]:
    """Give batches of rows 50 ms apart, the last one of each taken as the batch is sent."""
    for batch in range(_BATCHES):
        # heartbeats meanwhile must not say that nothing is to come
        time.sleep(_ROWS * _STEP)
        newest = time.monotonic()
        stamps = [newest + _STEP * (row + 1 - _ROWS) for row in range(_ROWS)]
        yield json.dumps([{"x": _ROWS * batch + row, "t": t} for row, t in enumerate(stamps)])


def assert_distances(chunk: Chunk[Any]) -> None:
    """Assert that the rows of each batch have the distances of their stamps."""
    times = chunk.time.reshape(_BATCHES, _ROWS)
    np.testing.assert_allclose(np.diff(times, axis=1), _STEP * 1e9, rtol=1e-3)
