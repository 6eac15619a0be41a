"""Random pipelines two to four operators deep obey the laws, over random streams of every kind."""

import pytest
from campaign import seeds
from pipelines import breaks, random_pipeline, smallest

_BLOCKS = 20
PIPELINES = seeds(5000)


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_pipelines(block: int) -> None:
    for seed in PIPELINES[block::_BLOCKS]:
        pipeline = random_pipeline(seed)
        if breaks(pipeline, seed) is None:
            continue
        found = smallest(pipeline, seed)
        pytest.fail(
            f"seed {seed}: {pipeline}\nsmallest: {found}\n{breaks(found, seed)}\nof {found.stream}"
        )
