"""Every operator, live over devices in real time and over the same past, at any cut: equal."""

import numpy as np
import pytest
from simulated_cases import CAPTURES, EXEMPT, JOINS, SECONDS, SINGLE, devices
from simulated_streams import Heard, cold, cuts, hear, play

from rxstream import operators as ops
from rxstream.data.concat import concat
from rxstream.testing import assert_same

pytestmark = pytest.mark.real

CASES = {**SINGLE, **JOINS, **CAPTURES}


@pytest.fixture(scope="module")
def heard() -> Heard:
    """Two seconds of four devices, and of everything that is made of them."""
    return hear(devices(), CASES, late=1.0)


def random(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def test_every_operator_is_tried_or_exempt_with_a_reason() -> None:
    tried = {name.partition(" ")[0].partition("-")[0] for name in CASES}
    assert tried | set(EXEMPT) == set(ops.__all__)
    assert not tried & set(EXEMPT)


def test_the_devices_lost_and_kept_enough(heard: Heard) -> None:
    for name, rate in (("sound", 8000), ("level", 200)):
        whole = concat(heard.past[name])
        assert {gap.reason for gap in whole.gaps} >= {"dropped", "disconnect"}
        assert len(whole) > 0.3 * rate * SECONDS  # a slow machine is long unplugged
        lost = sum(gap.lost or 0 for gap in whole.gaps)
        # every loss is marked; what comes late after an unplugging may make that look longer
        assert len(whole) + lost > 0.98 * rate * (whole.end - whole.start) / 1e9
    assert 20 < len(concat(heard.past["events"])) < 120
    assert 20 < len(concat(heard.past["frames"])) < 120


@pytest.mark.parametrize("name", SINGLE)
def test_live_is_replay(heard: Heard, name: str) -> None:
    case, live = SINGLE[name], heard.live[name]
    (past,) = (heard.past[port] for port in case.ports)
    assert live, "it gives something"
    assert_same(heard.replayed[name], live)
    if case.normal is None:
        return
    want = case.normal(live)
    for chunks in cuts(past, random(name)):
        assert_same(case.normal(play(case, [chunks], [])), want)


@pytest.mark.parametrize("name", JOINS)
def test_live_is_replay_of_several(heard: Heard, name: str) -> None:
    """Whoever was first, over the pasts at once, and in any turn."""
    case, live = JOINS[name], heard.live[name]
    assert case.normal is not None
    want = case.normal(live)
    assert want
    assert_same(case.normal(heard.replayed[name]), want)
    rng = random(name)
    for ports in zip(*(cuts(heard.past[port], rng) for port in case.ports), strict=True):
        assert_same(case.normal(cold(case, ports)), want)
        turns = rng.integers(0, len(ports), 200).tolist()
        assert_same(case.normal(play(case, ports, turns)), want)


@pytest.mark.parametrize("name", CAPTURES)
def test_clips_are_the_same_afterwards(heard: Heard, name: str) -> None:
    """A past keeps no window to look back into, so windows are filled with it, in any turn."""
    case, live = CAPTURES[name], heard.live[name]
    assert live, "it gives something"
    assert_same(heard.replayed[name], live)
    rng = random(name)
    for ports in zip(*(cuts(heard.past[port], rng) for port in case.ports), strict=True):
        turns = rng.integers(0, len(ports), 200).tolist()
        assert_same(play(case, ports, turns), live)
