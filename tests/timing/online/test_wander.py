"""Whether arrivals keep to a line or wander, on streams of which that is known."""

import numpy as np
import pytest

from rxstream.timing.online.wander import WanderTest

LAWS = {
    "exponential": lambda rng, n: rng.exponential(1e-3, n),
    "gamma": lambda rng, n: rng.gamma(2.0, 5e-4, n),
    "normal": lambda rng, n: 6e-3 + 1e-3 * rng.standard_normal(n),
    "uniform": lambda rng, n: rng.uniform(0, 3e-3, n),
    "two modes": lambda rng, n: rng.exponential(3e-4, n) + 5e-3 * (rng.random(n) < 0.3),
    "pareto": lambda rng, n: 5e-4 * rng.pareto(1.5, n),
}


def fed(x, late) -> WanderTest:
    test = WanderTest()
    for at, late_by in zip(x.tolist(), late.tolist(), strict=True):
        test.add(at, late_by)
    return test


@pytest.mark.parametrize("rate", [2.0, 100.0, 5000.0])
@pytest.mark.parametrize("slope", [0.0, 3e-4, -0.05])
@pytest.mark.parametrize("law", LAWS)
def test_a_clock_draws_a_line(law, slope, rate):
    rng = np.random.default_rng(7)
    n = 2000 if rate < 1000 else 30_000
    x = np.arange(n) / rate
    test = fed(x, LAWS[law](rng, n) + slope * x)
    assert test.verdict == "line"
    assert test.slope == pytest.approx(slope, abs=2e-5 + 0.05 / x[-1])


@pytest.mark.parametrize("rate", [2.0, 100.0, 1000.0])
@pytest.mark.parametrize("delay", [0.0, 0.2], ids=["no delay", "some delay"])
def test_a_loop_that_sleeps_wanders(rate, delay):
    rng = np.random.default_rng(3)
    n = 1000 if rate < 100 else 20_000
    step = 0.05 / rate
    late = np.cumsum(rng.exponential(step, n)) + rng.exponential(delay * step, n)
    test = fed(np.arange(n) / rate, late)
    assert test.verdict == "wanders"


def test_one_step_or_a_stall_is_no_wandering():
    rng = np.random.default_rng(5)
    x = np.arange(6000) / 100
    late = rng.exponential(1e-3, 6000)
    late[2000:] += 0.02
    late[4000:4100] += np.linspace(1.0, 0.0, 100)
    assert fed(x, late).verdict == "line"


def test_few_chunks_are_doubted_by_von_neumanns_ratio():
    """Of noise 1 in 20 looks like a walk, of walks 4 in 5 do."""
    rng = np.random.default_rng(11)
    x = np.arange(24.0)
    noise = sum(fed(x, rng.exponential(1e-3, 24)).doubtful for _ in range(200))
    walks = sum(fed(x, np.cumsum(rng.exponential(2e-4, 24))).doubtful for _ in range(200))
    assert noise < 60
    assert walks > 120


@pytest.mark.parametrize("rate", [2.0, 10.0, 40.0])
def test_few_blocks_alone_do_not_show_that_a_clock_wanders(rate):
    """The blocks of 64 chunks are 16: those of normal jitter are as far off as chunks at times."""
    x = np.arange(250) / rate
    for seed in range(25):
        late = 6e-3 + 1e-3 * np.random.default_rng(seed).standard_normal(250)
        test = WanderTest()
        for at, late_by in zip(x.tolist(), late.tolist(), strict=True):
            test.add(at, late_by)
            assert test.verdict != "wanders", (seed, test.units)


def test_a_loss_that_is_found_leaves_a_line():
    rng = np.random.default_rng(2)
    x = np.arange(3000) / 100
    late = rng.exponential(1e-3, 3000)
    test = WanderTest()
    for k in range(3000):
        lost = 0.5 if k >= 1500 else 0.0
        known = 0.5 if k >= 1520 else 0.0
        if k == 1520:
            test.forgive(float(x[1500]), 0.5)
        test.add(float(x[k]) + known, float(late[k]) + lost - known)
    assert test.verdict == "line"
    assert abs(test.slope) < 1e-4


def test_scatter_is_that_of_the_delays():
    rng = np.random.default_rng(4)
    delay = rng.exponential(2e-3, 5000)
    scatter = fed(np.arange(5000) / 50, delay).scatter
    assert np.mean(delay <= scatter) >= 0.95
    assert scatter < 4 * np.quantile(delay, 0.95)


def test_after_a_restart_nothing_is_doubted():
    x = np.arange(40.0)
    test = fed(x, 0.05 * x)
    assert test.tilted
    assert test.doubtful
    test.restart()
    assert not test.tilted
    assert not test.doubtful
    assert test.scatter == 0.0


@pytest.mark.parametrize("slope", [0.0, 2e-3])
def test_scatter_is_over_the_lowest_of_the_last_units(slope):
    """Where arrivals have fallen and risen, the excess is that over the lowest of 64 units."""
    rng = np.random.default_rng(8)
    x = np.arange(4000) / 50
    late = slope * x + rng.exponential(1e-3, 4000) + 0.05 * (x > 40)
    scatter = fed(x, late).scatter
    lowest = np.array([(late - slope * x)[max(k - 64, 0) : k + 1].min() for k in range(4000)])
    excess = (late - slope * x - lowest)[9:]
    assert np.quantile(excess, 0.95) < scatter < 2 * np.quantile(excess, 0.98)


def test_newest_blocks_show_that_arrivals_have_left_a_line():
    rng = np.random.default_rng(3)
    x = np.arange(2000) / 20
    late = rng.exponential(1e-3, 2000)
    level = fed(x, late).risen(lambda _: 0.0)
    assert level < 5e-4
    risen = fed(x, late + 0.02 * (x > 85)).risen(lambda _: 0.0)
    assert risen == pytest.approx(0.02, abs=1e-3)
    # where it has been so for long, it is the line that is lower
    assert fed(x, late + 0.02).risen(lambda _: 0.0) < 5e-4
