"""What a device's own clock shows to be missing, step by step."""

from math import gcd

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rxstream.timing.online.tick_losses import TickLosses


def steps(own: np.ndarray, rate: float, n: int = 1, quantum: int = 1) -> list[int]:
    """Return the losses that stamps of an own clock show [ns]."""
    losses = TickLosses(0.0, quantum)
    return [losses.add(u * 1e-9 * rate, n, u) for u in np.diff(own).tolist()]


@given(
    rate=st.floats(700, 1400), n=st.integers(1, 500), tick=st.sampled_from([1, 1000, 10_000]),
    noise=st.floats(0, 0.04),
)  # fmt: skip
def test_a_steady_clock_of_any_rate_shows_no_loss(
    rate: float, n: int, tick: int, noise: float
) -> None:
    """Ticks of up to 10 us, and stamps that are late by parts of a sample, at some 1 kHz."""
    rng = np.random.default_rng(n)
    taken = np.arange(1, 300) * n / rate + rng.uniform(0, noise / rate, 299)
    own = (taken * 1e9).astype(np.int64) // tick * tick
    assert not any(steps(own, 1000.0, n))


@given(
    n=st.integers(1, 500), lost=st.integers(1, 1000), at=st.integers(8, 250),
    ppm=st.integers(-300, 300),
)  # fmt: skip
def test_a_loss_is_found_where_it_is(n: int, lost: int, at: int, ppm: int) -> None:
    # the one step that is longer may be that of a coarse clock
    assume(not lost == gcd(n, lost) <= n / 5)
    number = np.arange(1, 300) * n
    number[at:] += lost
    own = (number * 1e6 * (1 + ppm * 1e-6)).astype(np.int64)
    found = steps(own, 1000.0, n)
    assert found == [0] * (at - 1) + [lost] + [0] * (298 - at)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_loss_before_the_clock_is_known_is_found_a_little_later(at: int) -> None:
    number = np.arange(1, 30) * 10
    number[at:] += 7
    found = steps(number * 10**6, 1000.0, 10)
    assert sum(found) == 7
    assert max(k for k, lost in enumerate(found) if lost) <= at + 3


def test_losses_are_whole_quanta() -> None:
    number = np.arange(1, 100) * 10
    number[50:] += 19
    assert sum(steps(number * 10**6, 1000.0, 10, quantum=10)) == 20


def test_a_rate_that_changes_is_found_after_two_losses() -> None:
    passed = np.where(np.arange(200) < 100, 100.0, 103.0).cumsum()
    found = steps((passed * 1e6 + 0.3).astype(np.int64), 1000.0, 100)
    assert sum(found) == 6
    assert found[-90:] == [0] * 90


@pytest.mark.parametrize("ppm", [30, 100, -100])
def test_ticks_of_many_samples_lose_nothing_where_they_beat_with_the_chunks(ppm: int) -> None:
    """Milliseconds of a clock beside blocks of 10 ms: one more passes every 10 to 33 s."""
    passed = np.arange(1, 20_001) * 10.0 * (1 + ppm * 1e-6)
    own = (passed + 0.3).astype(np.int64) * 10**6
    assert not any(steps(own, 48e3, 480))


def test_a_loss_that_coarse_ticks_hide_shows_with_the_next() -> None:
    """Ticks of two samples: two losses of one are more than the clock is coarse."""
    number = np.arange(1, 400)
    number[200:] += 1
    number[300:] += 2
    own = number * 10 * 10**6 // (20 * 10**6) * (20 * 10**6)
    assert 2 <= sum(steps(own, 100.0)) <= 3
