"""What a new user types first, as typed."""

import asyncio
from typing import Any

import numpy as np
import pytest
from reactivex import operators as rxo

from rxstream import Chunk, Device
from rxstream import operators as ops
from rxstream.devices import Simulated
from rxstream.errors import NotRewindableError

pytestmark = pytest.mark.real


def microphone(seconds: float = 1.0) -> Device:
    return Device(Simulated(8000.0, (1,), signal="noise", duration=seconds, name="mic"))


PIPELINES: list[Any] = [
    lambda mic: mic,
    lambda mic: mic.pipe(ops.rms(0.1)),
    lambda mic: mic.pipe(ops.filter_band(200, 3000)),
    lambda mic: mic.pipe(ops.map_data(np.abs)),
    lambda mic: mic.pipe(ops.spectrogram(0.1)),
    lambda mic: mic.pipe(ops.window_by_time(0.25)),
    lambda mic: mic.pipe(ops.gate(lambda x: np.abs(x[:, 0]) > 2)),
    lambda mic: mic.pipe(ops.onset(above=30)),
    lambda mic: mic.pipe(ops.resample(1000.0, method="linear")),
    lambda mic: mic.pipe(ops.rms(0.1), rxo.map(lambda c: c)),
]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_most_natural_subscriber(pipeline: Any) -> None:
    """It used to fail at the second chunk: operators gave mostly chunks without samples."""
    got: list[float] = []
    faults: list[Any] = []
    mic = microphone()
    mic.faults.subscribe(faults.append)
    pipeline(mic).subscribe(lambda c: got.append(c.data.max()))
    with mic:
        assert mic.wait(20)
    assert faults == []


def test_for_over_a_device() -> None:
    """It used to give Observables without end."""
    with microphone() as mic:
        chunks = list(mic)
    assert all(isinstance(chunk, Chunk) and len(chunk) for chunk in chunks)
    assert sum(map(len, chunks)) > 4000  # what came after the loop had begun


def test_for_over_a_pipeline() -> None:
    with microphone(3.0) as mic:
        levels = [level.data.max() for level in mic.pipe(ops.rms(0.1))]
    assert 5 <= len(levels) <= 30  # what came after the loop had begun


def test_last_of_a_pipeline() -> None:
    """It used to return an Observable."""
    mic = microphone()
    with pytest.raises(
        NotRewindableError, match=r"mic \| rms\(0.1\) keeps no past for last\(0.5\)"
    ):
        mic.pipe(ops.rms(0.1)).last(0.5)
    kept = mic.pipe(ops.rms(0.1), ops.replay_window(60))
    subscription = kept.subscribe()
    with mic:
        assert mic.wait(20)
    assert len(kept.last(0.5)) in (4, 5, 6)
    subscription.dispose()


def test_async_for_over_a_device_and_a_pipeline() -> None:
    async def levels() -> int:
        with microphone(3.0) as mic:
            count = 0
            async for chunk in mic.pipe(ops.rms(0.1)):
                count += len(chunk)
            return count

    async def samples() -> int:
        with microphone() as mic:
            return sum([len(chunk) async for chunk in mic])

    assert asyncio.run(levels()) >= 5
    assert asyncio.run(samples()) > 4000


def test_repr_says_what_it_is() -> None:
    mic = microphone()
    assert repr(mic).startswith("<Device mic: closed")
    assert repr(mic.pipe(ops.rms(0.1))) == "<Stream mic | rms(0.1)>"
    with mic, mic.reader(name="mine") as reader:
        assert repr(mic).startswith("<Device mic: open")
        assert "mine" in repr(reader)
        assert mic.wait(20)


def test_closing_a_device_inside_a_loop_over_a_pipeline(caplog: pytest.LogCaptureFixture) -> None:
    """The loop is what the pipeline waits for, so closing must not wait for the pipeline."""
    mic = Device(Simulated(8000.0, (1,), signal="noise", name="mic")).open()
    count = 0
    for chunk in mic.pipe(ops.map_data(np.abs)):
        count += len(chunk)
        if count > 800:
            mic.close()
    assert mic.state == "closed"
    assert "still busy" not in caplog.text
