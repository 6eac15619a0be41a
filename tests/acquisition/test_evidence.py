"""Evidence of the wrong kind ends the device; evidence given now and then invents no loss."""

from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually
from hypothesis import example, given
from hypothesis import strategies as st
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Device, DeviceCounter, Reading, StreamInfo
from rxstream.acquisition.stamper import Stamper
from rxstream.errors import ParameterError
from rxstream.timing import ClockSettings

MS, SECOND = 10**6, 10**9
START = 1_700_000_000 * SECOND

# Field, value, and what the error says beside them.
WRONG: list[tuple[str, Any, str]] = [
    ("lost", -5, ">= 0"),
    ("lost", 1.5, "whole number"),
    ("lost", 1 << 62, "whole number"),
    ("lost", float("nan"), "whole number"),
    ("lost", True, "whole number"),
    ("lost", "5", "whole number"),
    ("counter", -1, "from 0 to 255"),
    ("counter", 256, "from 0 to 255"),
    ("counter", 3.0, "from 0 to 255"),
    ("counter", float("nan"), "from 0 to 255"),
    ("counter", True, "from 0 to 255"),
    ("device_time", 1.7e9, "int64 nanoseconds"),
    ("device_time", float("nan"), "int64 nanoseconds"),
    ("device_time", True, "int64 nanoseconds"),
    ("device_time", "now", "int64 nanoseconds"),
    ("device_time", np.array([1.7e18, 1.7e18]), "int64 nanoseconds"),
    ("device_time", np.array([True, False]), "int64 nanoseconds"),
    ("device_time", np.array([1, 2], "datetime64[ns]"), "int64 nanoseconds"),
    ("device_time", np.array([1.5, "x"], object), "int64 nanoseconds"),
    ("device_time", np.array([1, 2, 3]), "for 2 samples"),
    ("device_time", np.array([[1, 2]]), "for 2 samples"),
    ("bounds", (1, 2.5), "two int nanoseconds"),
    ("bounds", (float("nan"), 5), "two int nanoseconds"),
    ("bounds", (5, 4), "earliest, latest"),
    ("bounds", (5,), "two int nanoseconds"),
    ("bounds", 5, "two int nanoseconds"),
    ("bounds", (0, 1 << 63), "two int nanoseconds"),
    ("arrival", 1.7e18, "int nanoseconds"),
    ("arrival", float("nan"), "int nanoseconds"),
    ("arrival", "now", "int nanoseconds"),
]


@pytest.mark.parametrize("clock", ["host", "own"])
@pytest.mark.parametrize("rate", [None, 1000.0])
@pytest.mark.parametrize(("field", "value", "words"), WRONG)
def test_evidence_of_the_wrong_kind_ends_the_device(
    field: str, value: Any, words: str, rate: float | None, clock: Any
) -> None:
    info = StreamInfo("x", rate, (), np.dtype(int), counter=DeviceCounter(8), device_clock=clock)
    source, errors = Manual(info), list[Exception]()
    with Device(source, reconnect=True) as device:
        device.subscribe(on_error=errors.append, scheduler=ImmediateScheduler())
        source.emit(np.arange(2))
        source.emit(Reading(np.arange(2), **{field: value}))
        assert eventually(lambda: device.state == "failed")
    (error,) = errors
    assert isinstance(error, ParameterError)
    assert f"Reading.{field}" in str(error)
    assert words in str(error)


def test_a_reason_that_is_none_ends_the_device() -> None:
    stamper = Stamper(StreamInfo("x", None, (), np.dtype(int)))
    with pytest.raises(ParameterError, match="'gone'"):
        stamper.stamp(Reading(np.arange(1), lost=1, reason="gone"), np.arange(1), START)  # type: ignore[arg-type]


GIVEN: list[tuple[str, Any]] = [
    ("lost", np.int64(3)),
    ("counter", np.uint8(7)),
    ("device_time", np.int64(START)),
    ("device_time", np.array(START)),
    ("device_time", np.array([START])),
    ("device_time", np.array([START, START + MS], np.uint64)),
    ("device_time", [START, START + MS]),
    ("bounds", (np.int64(START - MS), np.int64(START))),
    ("bounds", [START - MS, START]),
    ("arrival", np.int64(START + 5)),
]


@pytest.mark.parametrize("clock", ["host", "own"])
@pytest.mark.parametrize("rate", [None, 1000.0])
@pytest.mark.parametrize(("field", "value"), GIVEN)
def test_numbers_of_numpy_are_numbers(
    field: str, value: Any, rate: float | None, clock: Any
) -> None:
    info = StreamInfo("x", rate, (), np.dtype(int), counter=DeviceCounter(8), device_clock=clock)
    plain = value
    if field == "device_time":
        plain = np.asarray(value, np.int64)
        plain = plain if plain.shape == (2,) else int(plain.reshape(-1)[0])
    elif field == "bounds":
        plain = (START - MS, START)
    else:
        plain = int(value)
    times = []
    for given_value in (value, plain):
        stamper, chunks = Stamper(info), []
        for k in range(3):
            evidence = {field: given_value} if k == 1 else {}
            reading = Reading(np.arange(2), **evidence)
            chunks.append(stamper.stamp(reading, np.arange(2), START + (k + 1) * 2 * MS))
        times.append([(c.time.tolist(), c.index, c.gaps) for c in chunks if c is not None])
    assert times[0] == times[1]


@pytest.mark.parametrize("when", ["first", "later"])
@pytest.mark.parametrize("arrival", [2**63, 2**70, -(2**63), -(2**70)])
def test_an_arrival_that_cannot_be_is_set_aside_and_reported_once(arrival: int, when: str) -> None:
    stamper = Stamper(StreamInfo("x", 1000.0, (), np.dtype(int)), live=True)
    for k in range(5):
        wrong = k in ((0, 1) if when == "first" else (2, 3))
        reading = Reading(np.arange(2), arrival=arrival if wrong else None)
        chunk = stamper.stamp(reading, np.arange(2), START + (k + 1) * 2 * MS)
        assert chunk is not None
        assert abs(int(chunk.time[-1]) - START - (k + 1) * 2 * MS) <= 2 * MS
    (found,) = stamper.found
    assert f"Reading.arrival {arrival}" in str(found)


@pytest.mark.parametrize(
    "rate", [1e-9, 1e300, 1e308, 5e-324, 1e10, 0, -1.0, float("nan"), True, "1"]
)
def test_rates_that_no_stream_has(rate: Any) -> None:
    with pytest.raises(ParameterError, match="rate must be > 0 Hz"):
        StreamInfo("x", rate)
    with pytest.raises(ParameterError, match="rate must be > 0 Hz"):
        ClockSettings(rate)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (-1,)}, {"shape": (1.5,)}, {"quantum": 0}, {"quantum": 1.5}, {"quantum": True},
        {"counter": 16}, {"device_clock": "utc"},
    ],
)  # fmt: skip
def test_descriptions_that_fit_no_stream(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(wrong))} must be"):
        StreamInfo("x", 1000.0, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0}, {"bits": 65}, {"bits": 8.5}, {"bits": True}, {"bits": 8, "kind": "turns"},
        {"bits": 8, "kind": "ticks"}, {"bits": 8, "kind": "ticks", "rate": float("nan")},
        {"bits": 8, "rate": -1.0},
    ],
)  # fmt: skip
def test_counters_that_no_device_has(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="counter"):
        DeviceCounter(**wrong)


def test_a_counter_that_nothing_describes_is_refused() -> None:
    source = Manual(StreamInfo("x", 100.0))
    with Device(source) as device:
        source.emit(Reading(np.zeros(1, np.float32), counter=5))
    assert "Reading.counter is 5, and nothing says what it counts" in str(device.error)


def test_samples_that_are_objects_are_said_to_be_estimated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Manual(StreamInfo("x", None, (), np.dtype(object)))
    with Device(source) as device:
        for k in range(50):
            data = np.empty(1, object)
            data[0] = bytes(100_000)
            source.emit(Reading(data, arrival=START + k * MS))
        assert 50 * 100_000 < device.log.nbytes < 60 * 100_000
    said = [r for r in caplog.records if "estimate" in r.getMessage()]
    assert len(said) == 1


# -- evidence given now and then ----------------------------------------------------------------

INFOS = {
    f"{clock} {rate} {bits}": StreamInfo(
        "x", rate, (), np.dtype(np.int64), device_clock=clock,
        counter=DeviceCounter(bits) if bits else None,
    )
    for clock in ("host", "own")
    for rate in (None, 1000.0)
    for bits in (None, 8, 32)
}  # fmt: skip
SAMPLES = 10
which_stamps = st.sampled_from(["none", "one", "each"])
which = st.lists(st.tuples(which_stamps, st.booleans()), min_size=30, max_size=30)


def play(
    info: StreamInfo, given_now: list[tuple[str, bool]], lost: dict[int, int], mode: Any
) -> tuple[list[Chunk[Any]], int]:
    """Return chunks of readings that carry some evidence, and the number of samples taken."""
    rng, stamper, chunks, first = (
        np.random.default_rng(1),
        Stamper(info, mode, live=True),
        list[Chunk[Any]](),
        0,
    )
    own = 0 if info.device_clock == "host" else START - 5 * SECOND
    for k, (stamps, counted) in enumerate(given_now):
        first += lost.get(k, 0)
        data = np.arange(first, first + SAMPLES)
        data.flags.writeable = False
        taken = START + data * MS
        arrival = int(taken[-1] + 200_000 + rng.exponential(200_000))
        reading = Reading(
            data,
            counter=(first + SAMPLES - 1) % (1 << info.counter.bits)
            if info.counter and counted
            else None,
            device_time={"none": None, "one": int(taken[0] - own), "each": taken - own}[stamps],
        )
        first += SAMPLES
        chunk = stamper.stamp(reading, data, arrival)
        assert chunk is not None
        chunks.append(chunk)
    assert stamper.found == []
    return chunks, first


@given(
    info=st.sampled_from([*INFOS.values()]),
    given_now=which,
    mode=st.sampled_from(["corrected", "arrival"]),
)
# a counter, none, and a counter with the first stamp, which another way takes
@example(
    info=INFOS["host 1000.0 8"],
    given_now=[*[("none", False)] * 27, ("none", True), ("none", False), ("one", True)],
    mode="corrected",
)
def test_evidence_given_now_and_then_invents_no_loss(
    info: StreamInfo, given_now: list[tuple[str, bool]], mode: Any
) -> None:
    chunks, _ = play(info, given_now, {}, mode)
    assert [gap for chunk in chunks for gap in chunk.gaps] == []
    times = np.concatenate([chunk.time for chunk in chunks])
    assert (np.diff(times) > 0).all()
    assert chunks[-1].index == 290
    true = START + np.arange(300) * MS
    # irregular samples without stamps have the time at which they came
    assert np.abs(times - true).max() < (SAMPLES + 2) * MS


@given(
    info=st.sampled_from([info for info in INFOS.values() if info.counter]),
    given_now=which,
    lost=st.dictionaries(st.integers(12, 28), st.integers(1, 60), max_size=3),
)
def test_of_what_is_counted_now_and_then_all_losses_are_found(
    info: StreamInfo, given_now: list[tuple[str, bool]], lost: dict[int, int]
) -> None:
    # what is lost is counted at both ends; 8 bits do not turn over between them
    given_now = [
        (stamps, counted or k in (0, 29) or k in lost or k + 1 in lost)
        for k, (stamps, counted) in enumerate(given_now)
    ]
    chunks, taken = play(info, given_now, lost, "arrival")
    gaps = [(chunk.index, gap.lost, gap.reason) for chunk in chunks for gap in chunk.gaps]
    assert [gap[1:] for gap in gaps] == [(lost[k], "dropped") for k in sorted(lost)]
    assert chunks[-1].next_index == taken
    assert all(chunk.index == chunk.data[0] for chunk in chunks)
