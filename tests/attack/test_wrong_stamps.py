"""Stamps with flipped bits, of every kind of stream: what they may change, and what not."""

from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from campaign import seeds
from stamped_streams import DAY, KINDS, MS, Kind, Outcome, run

WHOLE = 3000
READINGS = 80
SETTLED = 12  # readings until a line has been found


def flipped(kind: Kind, rng: Random, least: int) -> dict[int, int]:
    """Return stamps of a few samples with one of their bits flipped, ``least`` or a higher one."""
    usual = stamps_of(kind)
    count = READINGS * kind.samples
    numbers = rng.sample(range(SETTLED * kind.samples, count), rng.randint(1, 6))
    if kind.single:
        numbers = [i - i % kind.samples for i in numbers]
    if kind.clock == "own":
        # two in a row that agree are a clock that was set
        numbers = [i for i in numbers if all(i // kind.samples - j // kind.samples != 1
                                             for j in numbers)]  # fmt: skip
    return {i: usual[i] ^ (1 << rng.randint(least, 62)) for i in numbers}


@cache
def stamps_of(kind: Kind) -> list[int]:
    """Return the right stamps of all samples of a stream."""
    found: list[int] = []

    def keep(reading: Any, _k: int) -> Any:
        stamp = reading.device_time
        found.extend(stamp.tolist() if isinstance(stamp, np.ndarray) else [stamp] * kind.samples)
        return reading

    run(kind, READINGS, {}, live=True, change=keep)
    return found


def longest(numbers: set[int]) -> int:
    """Return the length of the longest run of numbers."""
    runs = (next(k for k in range(99) if i + k not in numbers) for i in numbers)
    return max(runs, default=0)


@cache
def usual_of(kind: Kind, mode: Any) -> Outcome:
    return run(kind, READINGS, {}, live=True, mode=mode)


def attack(seed: int) -> None:
    rng = Random(seed)
    kind, mode = rng.choice(KINDS), rng.choice(["corrected", "corrected", "arrival"])
    # of a clock of its own less than 0.3 s is within what delays can do
    bad = flipped(kind, rng, least=28 if kind.clock == "own" else 0)
    found = run(kind, READINGS, bad, live=True, mode=mode)
    assert (np.diff(found.times) > 0).all()
    gaps = [gap for chunk in found.chunks for gap in chunk.gaps]
    assert all(gap.reason == "overlap" and gap.lost == 0 for gap in gaps)
    found.check_laws()
    n = kind.samples
    touched = {i // n for i in bad}
    right = [i for i in range(len(found.truth)) if i // n not in touched]
    usual = usual_of(kind, mode)
    close = n if kind.clock == "host" and not (kind.regular and kind.single) else 4 * MS
    # Stamps that go back a little overlap: what is out by then stays out.
    assert np.abs(found.times - usual.times)[right].max(initial=0) <= close
    late = np.maximum(found.arrival - found.truth, np.abs(usual.errors)) + close
    # A stamp that goes back a little is believed; its sample lies right after the one before it,
    # which may be of the reading before.
    bound = late + (longest(touched) * n + 1) * 14 * MS
    assert (np.abs(found.errors) <= bound).all()
    assert len({str(report) for report in found.reports}) == len(found.reports) <= 4


@pytest.mark.parametrize("part", range(10))
def test_flipped_bits_of_stamps_change_nothing_else(part: int) -> None:
    for seed in seeds(WHOLE)[part::10]:
        try:
            attack(seed)
        except AssertionError as error:
            msg = f"seed {seed}: {error}"
            raise AssertionError(msg) from error


def test_a_recording_keeps_all_samples_in_order() -> None:
    for seed in seeds(WHOLE // 3):
        rng = Random(seed)
        kind = rng.choice([kind for kind in KINDS if kind.clock == "host"])
        found = run(kind, READINGS, flipped(kind, rng, 0), live=False)
        assert (np.diff(found.times) > 0).all(), seed
        assert len(found.times) == len(found.truth), seed
        assert sum(chunk.lost for chunk in found.chunks) == 0, seed


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_each_kind_of_refusal_is_reported_exactly_once(kind: Kind) -> None:
    usual, n = stamps_of(kind), kind.samples
    late, early = ({k * n: usual[k * n] + off for k in (30, 50)} for off in (DAY, -DAY))
    # a regular stream with one stamp a reading is compared with its arrival alone
    back = "before its arrival" if kind.regular and kind.single else "goes back"
    texts = ("out of line",) * 2 if kind.clock == "own" else ("after its arrival", back)
    for bad, text in zip((late, early), texts, strict=True):
        (report,) = run(kind, READINGS, bad, live=True).reports
        assert text in str(report)
        assert str(bad[min(bad)]) in str(report)
    both = {30 * n: usual[30 * n] + DAY, 50 * n: usual[50 * n] - DAY}
    reports = run(kind, READINGS, both, live=True).reports
    assert len(reports) == (1 if kind.clock == "own" else 2)
    assert not run(kind, READINGS, {}, live=True).reports
