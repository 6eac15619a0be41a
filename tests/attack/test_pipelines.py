"""Random pipelines two to four operators deep, and joins, obey the laws over streams of every kind.

All in virtual time: a seed gives the same streams, operators, cuts and orders of arrival again.
"""

from typing import Any

import pytest
from campaign import seeds
from pipelines import Operator, Pipeline, breaks, random_pipeline, smallest
from random_joins import breaks_join, random_join

from rxstream import Chunk
from rxstream.steps.lift import lift

# Blocks of seeds, for the processes of pytest to share.
_BLOCKS = 20
_PIPELINES, _JOINS = seeds(5000), seeds(1000)


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_pipelines(block: int) -> None:
    for seed in _PIPELINES[block::_BLOCKS]:
        pipeline = random_pipeline(seed)
        if breaks(pipeline, seed) is None:
            continue
        found = smallest(pipeline, seed)
        pytest.fail(
            f"seed {seed}: {pipeline}; the smallest part that fails:\n"
            f"{found}\n{breaks(found, seed)}\nof {found.stream}"
        )


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_joins(block: int) -> None:
    for seed in _JOINS[block::_BLOCKS]:
        join = random_join(seed)
        broken = breaks_join(join, seed)
        assert broken is None, f"seed {seed}: {join.text}: {broken}\nof {join.ports}"


class _First:
    """A step that takes the first sample of each chunk, or all but the very last one."""

    def __init__(self, bad: str) -> None:
        self._bad = bad

    def push(self, chunk: Chunk[Any]) -> list[Chunk[Any]]:
        return [chunk[:1] if self._bad == "cut" else chunk[: max(1, len(chunk) - 1)]]

    def flush(self) -> list[Chunk[Any]]:
        return []


def _spoiled(pipeline: Pipeline, bad: str) -> Pipeline:
    return Pipeline(
        pipeline.stream, (Operator("map_data(bad)", lambda: lift(lambda: _First(bad))),)
    )


def test_the_laws_can_fail() -> None:
    """An operator that depends on the cut, or loses a sample, is found within few streams."""
    pipelines = [random_pipeline(seed) for seed in range(40)]
    for bad in ("cut", "loss"):
        assert any(breaks(_spoiled(pipeline, bad), 1) for pipeline in pipelines), bad
