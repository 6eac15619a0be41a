"""Campaigns: the same random attack many times; at length by ``make attack``, a tenth otherwise.

A campaign draws its trials from numbered seeds. Each run of the tests begins at another number,
which the head of pytest's output shows; ``RXSTREAM_SEED`` repeats a run. Where ``CI`` is set all
runs have the same seeds, as those of hypothesis: a change is judged by what it changes.
"""

import os
import secrets
from collections.abc import Sequence
from typing import TypeVar

import pytest

__all__ = ["at_length", "few", "first_cases", "first_seed", "seeds", "trials"]

_T = TypeVar("_T")

# The part of a campaign that runs where nobody asks for the whole.
_SHARE = 10
_CI_SEED = 20_261


def at_length() -> bool:
    """Whether campaigns run as a whole."""
    return bool(os.environ.get("RXSTREAM_ATTACK"))


def trials(whole: int) -> int:
    """Return how many trials to run of a campaign of ``whole``."""
    return whole if at_length() else max(1, whole // _SHARE)


def few(values: Sequence[_T], count: int = 1) -> Sequence[_T]:
    """Return all values at length, otherwise the first ``count``."""
    return values if at_length() else values[:count]


def first_cases(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the first case of each test, and all others."""
    first = {item.nodeid.partition("[")[0]: item for item in reversed(items)}
    chosen = set(first.values())
    return [i for i in items if i in chosen], [i for i in items if i not in chosen]


def first_seed() -> int:
    """Return the first seed of this run, the same in each of its processes."""
    seed = _CI_SEED if os.environ.get("CI") else secrets.randbelow(10**9)
    return int(os.environ.setdefault("RXSTREAM_SEED", str(seed)))


def seeds(whole: int) -> range:
    """Return the seeds of a campaign of ``whole`` trials."""
    first = first_seed()
    return range(first, first + trials(whole))
