"""Smoothing the stamps of a driver."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rxstream.timing.online.driver import DriverStamps

PERIOD = 1e9 / 48_000


def play(
    stamps: NDArray[np.float64], driver: DriverStamps | None = None
) -> tuple[NDArray[np.int64], list[int]]:
    driver = driver or DriverStamps(PERIOD)
    results = [driver.push(480, round(stamp)) for stamp in stamps]
    return np.array([end for end, _, _ in results]), [lost for _, lost, _ in results]


def test_early_stamps_do_not_move_it_and_scatter_is_smoothed() -> None:
    rng = np.random.default_rng(5)
    true = 10**18 + np.arange(2000) * 10e6 * (1 + 80e-6)
    stamps = true + rng.normal(0, 50_000, 2000)
    stamps[::97] -= 20e6
    ends, lost = play(stamps)
    error = ends[200:] - (true[200:] + 10e6)
    assert np.percentile(np.abs(error), 95) < 40_000
    assert not any(lost)


def test_late_stamps_in_bunches_do_not_move_it_even_if_they_are_most() -> None:
    """As PulseAudio reports them on a busy machine: up to 10 ms late, a few in a row."""
    rng = np.random.default_rng(6)
    true = 10**18 + np.arange(2000) * 10e6 * (1 - 120e-6)
    late = np.repeat(rng.random(500) < 0.6, 4)
    stamps = true + rng.normal(0, 10_000, 2000) + late * np.repeat(rng.uniform(0, 1e7, 500), 4)
    ends, lost = play(stamps)
    error = ends[200:] - (true[200:] + 10e6)
    assert np.percentile(np.abs(error), 95) < 100_000
    assert not any(lost)


def test_it_does_not_follow_at_once_where_no_clock_goes() -> None:
    """Stamps of a sound server that was starved run 2000 ppm slow for a while."""
    true = 10**18 + np.arange(800) * 10e6
    ramp = np.clip(np.arange(800) - 200, 0, 300) * 20e3
    noise = np.random.default_rng(7).normal(0, 10_000, 800)
    driver = DriverStamps(PERIOD)
    results = [driver.push(480, round(stamp)) for stamp in true + ramp + noise]
    error = np.abs([end for end, _, _ in results] - (true + 10e6))
    assert error[:400].max() < 100_000  # the stamps are 4 ms off by then
    half_width = np.array([width for _, _, width in results])
    assert half_width[400:].max() > 1e6
    assert half_width[100:200].max() < 100_000


def test_a_long_hole_is_sized() -> None:
    stamps = 10**18 + np.arange(400) * 10e6
    stamps[200:] += 2e9
    ends, lost = play(stamps)
    assert lost[202] == 96_000  # one, or two, could have been late
    assert sum(lost) == 96_000
    assert abs(ends[-1] - stamps[-1] - 10e6) < 1000


def test_after_an_overrun_a_short_hole_is_sized() -> None:
    stamps = 10**18 + np.arange(400) * 10e6
    stamps[200:] += 5e6
    driver = DriverStamps(PERIOD)
    play(stamps[:200], driver)
    _, lost, _ = driver.push(480, round(stamps[200]), overrun=True)
    assert lost == 240


def test_one_stamp_that_is_far_too_late_is_no_loss() -> None:
    stamps = 10**18 + np.arange(400) * 10e6
    true = stamps + 10e6
    stamps[[100, 300, 301]] += 600e6
    ends, lost = play(stamps)
    assert not any(lost)
    assert np.abs(ends - true).max() < 1000


def test_a_loss_before_a_second_of_late_blocks_is_reported() -> None:
    rng = np.random.default_rng(8)
    true = 10**18 + np.arange(2000) * 10e6
    true[1000:] += 100e6
    driver = DriverStamps(PERIOD)
    results = [driver.push(480, round(stamp)) for stamp in true + rng.normal(0, 10_000, 2000)]
    error = np.abs(np.array([end for end, _, _ in results]) - true - 10e6)
    assert [k for k, (_, lost, _) in enumerate(results) if lost] == [pytest.approx(1100, abs=20)]
    assert sum(lost for _, lost, _ in results) == pytest.approx(4800, abs=3)
    assert error[1120:].max() < 100_000
    half_width = np.array([width for _, _, width in results])
    assert (error[1006:] <= half_width[1006:] + 50_000).all()
    assert half_width[200:1000].max() < 150_000


@pytest.mark.parametrize("length", [0.05, 0.1, 0.4])
def test_long_blocks_show_a_loss_too(length: float) -> None:
    """A second of them is too few to be sure; so twenty must agree."""
    rng = np.random.default_rng(8)
    true = 10**18 + np.arange(300) * length * 1e9
    true[150:] += 100e6
    driver = DriverStamps(PERIOD)
    count = round(48_000 * length)
    results = [driver.push(count, round(stamp)) for stamp in true + rng.normal(0, 10_000, 300)]
    assert [k for k, (_, lost, _) in enumerate(results) if lost] == [pytest.approx(180, abs=12)]
    assert sum(lost for _, lost, _ in results) == pytest.approx(4800, abs=3)
    assert abs(results[-1][0] - true[-1] - length * 1e9) < 100_000


@pytest.mark.parametrize("step", [5e6, -30e6])
def test_another_line_is_in_the_uncertainty_until_it_is_followed(step: float) -> None:
    rng = np.random.default_rng(9)
    true = 10**18 + np.arange(2500) * 10e6 + rng.normal(0, 10_000, 2500)
    true[1000:] += step
    driver = DriverStamps(PERIOD)
    results = [driver.push(480, round(stamp)) for stamp in true]
    error = np.abs(np.array([end for end, _, _ in results]) - true - 10e6)
    half_width = np.array([width for _, _, width in results])
    assert (error[1006:] <= half_width[1006:] + 50_000).all()
    assert error[1700:].max() < 150_000
    assert not any(lost for _, lost, _ in results)


@pytest.mark.parametrize("blocks", [1, 60])
@pytest.mark.parametrize("jump", [100e6, 700e6])
@pytest.mark.parametrize("late", [False, True])
def test_a_jump_is_a_loss_where_arrivals_are_later_too(
    late: bool, jump: float, blocks: int
) -> None:
    """A driver that corrects its stamps by up to 0.7 s, at once or little by little."""
    rng = np.random.default_rng(8)
    true = 10**18 + np.arange(800) * 10e6
    rise = jump * np.clip((np.arange(800) - 300) / blocks, 0, 1)
    stamps = true + rise + rng.normal(0, 10_000, 800)
    arrivals = true + 12e6 + late * rise + rng.exponential(1e6, 800)
    driver, lost = DriverStamps(PERIOD), 0
    for stamp, arrival in zip(stamps, arrivals, strict=True):
        end, more, half_width = driver.push(480, round(stamp), arrival=round(arrival))
        lost += more
    assert lost == pytest.approx(late * jump / PERIOD, rel=0.02)
    assert abs(end - (true[-1] + rise[-1] + 10e6)) < 100_000
    assert half_width < 2e6
