"""Operators on signals, live over a device and over the same past, at any cut: equal."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal

from rxstream import Chunk, Counter, Device, concat
from rxstream import operators as ops
from rxstream.devices import Twin
from rxstream.devices.twin import Drops, Stalls
from rxstream.testing import assert_same, recut, recut_by_time, run

SOS = scipy.signal.butter(2, [0.02, 0.1], "bandpass", output="sos")


def total(data: Any, before: Any) -> tuple[Any, Any]:
    sums = np.cumsum(np.concatenate((before, data)), axis=0)[1:]
    return sums, sums[-1:]


def bursts(index: Any) -> Any:
    """Return noise that is a hundred times louder one tenth of the time."""
    noise = np.sin(index * 0.7 + np.sin(index * 12.9898) * 43.758)
    loud = np.where(index % 2000 < 200, 1.0, 0.01)
    return np.stack((noise * loud, -noise * loud / 2), axis=1).astype(np.float32)


OPERATORS: dict[str, Callable[[], Any]] = {
    "scan_data": lambda: ops.scan_data(total, lambda info: np.zeros((1, *info.shape))),
    "sosfilt": lambda: ops.sosfilt(SOS, initial="steady"),
    "sosfilt-bridge": lambda: ops.sosfilt(SOS, on_gap="bridge"),
    "filter_band": lambda: ops.filter_band(300, 1000),
    "decimate": lambda: ops.decimate(4),
    "decimate-iir": lambda: ops.decimate(4, kind="iir"),
    "rms": lambda: ops.rms(0.05, every=0.01),
    "spectrogram": lambda: ops.spectrogram(0.032),
    "onset": lambda: ops.onset(0.2, rest=0.02),
    "chain": lambda: ops.compose(
        ops.filter_band(20, 1000), ops.decimate(2), ops.rms(0.02, every=0.005),
        ops.onset(above=6, background=0.5),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def heard() -> tuple[list[Chunk], dict[str, list[Chunk]]]:
    """What a sound with losses, stalls and a pulled plug was, and what was made of it live."""
    twin = Twin(
        8000.0, (2,), signal=bursts, blocksize=80, ppm=120, seed=5, counter=Counter(32),
        duration=1.5,
        drops=Drops(every=0.3), stalls=Stalls(every=0.5, length=0.05), unplugs=((0.8, 0.2),),
    )  # fmt: skip
    device = Device(twin, reconnect=0.01)
    live: dict[str, list[Chunk]] = {name: [] for name in OPERATORS}
    errors: list[Exception] = []
    for name, make in OPERATORS.items():
        device.pipe(make()).subscribe(live[name].append, errors.append)
    past: list[Chunk] = []
    with device:
        assert device.wait(30)
        device.past().subscribe(past.append, errors.append)
    if errors:
        raise errors[0]
    return past, live


@pytest.mark.parametrize("name", OPERATORS)
def test_live_is_replay(heard: tuple[list[Chunk], dict[str, list[Chunk]]], name: str) -> None:
    past, live = heard
    assert concat(live[name]).gaps, "the gaps are told"
    assert len(concat(live[name])), "it gives something"
    assert_same(run(OPERATORS[name](), past), live[name])
    rng = np.random.default_rng(len(name))
    for pieces in (0, 5, 60):
        cuts = rng.integers(0, len(concat(past)), pieces).tolist()
        assert_same(run(OPERATORS[name](), recut(past, cuts)), live[name], joined=True)
        shares = rng.random(pieces).tolist()
        assert_same(run(OPERATORS[name](), recut_by_time(past, shares)), live[name], joined=True)
