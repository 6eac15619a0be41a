"""Every operator, live over a device in real time and over the same past, at any cut: equal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rxstream import Chunk, Counter, Device
from rxstream import operators as ops
from rxstream.chunk import concat
from rxstream.devices import Twin
from rxstream.devices.twin import Drops, Stalls
from rxstream.testing import assert_same, recut, recut_by_time, run

SECONDS = 2.0

# name: (operator, whether it decides itself where its chunks begin)
SOUND: dict[str, tuple[Callable[[], Any], bool]] = {
    "rechunk": (lambda: ops.rechunk(100), True),
    "rechunk-hop": (lambda: ops.rechunk(100, hop=33), True),
    "window": (lambda: ops.window_by_time(0.1), True),
    "window-sliding": (lambda: ops.window_by_time(0.1, every=0.025), True),
    "window-split": (lambda: ops.window_by_time(0.1, on_gap="split"), True),
    "window-nan": (lambda: ops.window_by_time(0.1, on_gap="nan"), True),
    "window-drop": (lambda: ops.window_by_time(0.1, on_gap="drop"), True),
    "map_data": (lambda: ops.map_data(np.abs), False),
    "select": (lambda: ops.select(0), False),
    "gaps": (ops.gaps, True),
}
EVENTS: dict[str, tuple[Callable[[], Any], bool]] = {
    "rechunk": (lambda: ops.rechunk(5), True),
    "window": (lambda: ops.window_by_time(0.25), True),
    "window-sliding": (lambda: ops.window_by_time(0.25, every=0.1), True),
    "samples": (ops.samples, True),
}


@dataclass
class Heard:
    """What a device gave: its chunks, and each operator's output live."""

    past: list[Chunk]
    live: dict[str, list[Any]]
    replayed: dict[str, list[Any]]


def hear(device: Device, cases: dict[str, tuple[Callable[[], Any], bool]]) -> Heard:
    live: dict[str, list[Any]] = {name: [] for name in cases}
    errors: list[Exception] = []
    for name, (make, _) in cases.items():
        device.pipe(make()).subscribe(live[name].append, errors.append)
    with device:
        assert device.wait(30)
        past: list[Chunk] = []
        device.past().subscribe(past.append)
        replayed: dict[str, list[Any]] = {name: [] for name in cases}
        for name, (make, _) in cases.items():
            device.past().pipe(make()).subscribe(replayed[name].append, errors.append)
    if errors:
        raise errors[0]
    return Heard(past, live, replayed)


@pytest.fixture(scope="module")
def sound() -> Heard:
    """Two seconds of a sound that loses blocks, is late in bunches and is unplugged once."""
    twin = Twin(
        8000.0, (2,), blocksize=80, ppm=120, seed=3, counter=Counter(32), duration=SECONDS,
        drops=Drops(every=0.3), stalls=Stalls(every=0.5, length=0.05), unplugs=((1.0, 0.2),),
    )  # fmt: skip
    return hear(Device(twin, reconnect=0.01), SOUND)


@pytest.fixture(scope="module")
def events() -> Heard:
    """Two seconds of keys, or the like."""
    twin = Twin(
        30.0, (), np.int32, signal="ramp", irregular=True, seed=4, duration=SECONDS, name="events"
    )
    return hear(Device(twin), EVENTS)


def cuts(past: list[Chunk], seed: int) -> Iterator[list[Chunk]]:
    rng = np.random.default_rng(seed)
    samples = len(concat(past))
    yield past
    yield recut(past, [])
    for pieces in (5, 60):
        yield recut(past, rng.integers(0, samples, pieces).tolist())
        yield recut_by_time(past, rng.random(pieces).tolist())


def check(heard: Heard, make: Callable[[], Any], name: str, *, regroups: bool) -> None:
    live = heard.live[name]
    assert live, "it gives something"
    assert_same(heard.replayed[name], live)
    for chunks in cuts(heard.past, seed=len(name)):
        assert_same(run(make(), chunks), live, joined=not regroups)


def test_the_twin_lost_and_kept_enough(sound: Heard, events: Heard) -> None:
    whole = concat(sound.past)
    assert {gap.why for gap in whole.gaps} >= {"dropped", "disconnect"}
    assert len(whole) + whole.lost == pytest.approx(8000 * SECONDS, rel=0.02)
    assert 20 < len(concat(events.past)) < 120


@pytest.mark.parametrize("name", SOUND)
def test_live_is_replay_on_a_sound(sound: Heard, name: str) -> None:
    make, regroups = SOUND[name]
    check(sound, make, name, regroups=regroups)


@pytest.mark.parametrize("name", EVENTS)
def test_live_is_replay_on_events(events: Heard, name: str) -> None:
    make, regroups = EVENTS[name]
    check(events, make, name, regroups=regroups)
