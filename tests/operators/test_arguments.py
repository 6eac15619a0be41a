"""Options that are numbers of numpy, and those that cannot work."""

import asyncio
from typing import Any

import numpy as np
import pytest
import reactivex as rx

from rxstream import Chunk, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.devices.simulated import Simulated
from rxstream.errors import ChunkError, ParameterError
from rxstream.steps.multi import lift_multi
from rxstream.testing import run_operator

WHOLE = Chunk.regular(
    np.sin(np.arange(400.0)), StreamInfo("x", 100.0, (), np.dtype(float)), start=0
)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: ops.decimate(n(4), order=n(20)),
        lambda n: ops.resample(n(50)),
        lambda n: ops.rechunk(n(30), hop=n(10)),
        lambda n: ops.filter_band(n(5), n(20), order=n(2)),
        lambda n: ops.map_parallel(abs, in_flight=n(2)),
        lambda n: ops.onset(n(1), holdoff=n(1)),
        lambda n: ops.align(rx.empty(), offset=n(1), tolerance=n(1)),
        lambda n: ops.window_by_time(n(1), every=n(1)),
    ],
)
def test_numbers_of_numpy_are_numbers(make: Any) -> None:
    for number in (np.int64, np.uint8, np.int8):
        make(number)
    if "map_parallel" not in make.__code__.co_names and "align" not in make.__code__.co_names:
        ours, plain = (run_operator(make(number), [WHOLE]) for number in (np.int64, int))
        assert [str(item) for item in ours] == [str(item) for item in plain]


KEPT = TimeWindowSubject(60, name="kept", clock=lambda: 0)


async def soon(item: Any) -> Any:
    await asyncio.sleep(0)
    return item


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.map_parallel(soon), "is a coroutine function; use map_async"),
        (lambda: ops.map_async(soon, in_flight=None), "in_flight must be a whole number"),
        (lambda: ops.onset(above=1e5), "above must be within ±1000 dB, not 100000"),
        (lambda: ops.fill_gaps([1, [2]]), "takes a value"),
        (lambda: ops.fill_gaps([]), "takes a value"),
        (lambda: ops.filter_band(1, 4, kind="ellip", ripple=70), "ripple must be below"),
        (lambda: ops.map_data(abs, dtype=float), "dtype: the data decide"),
        (lambda: ops.map_data(abs, channels=5), r"map_data: channels must be labels.*, not 5"),
        (lambda: ops.map_data(abs, channels="xy"), "channels must be labels.*, not 'xy'"),
        (lambda: ops.map_data(abs, rate=-1), "map_data: rate must be > 0 Hz.*, not -1"),
        (lambda: ops.scan_data(abs, 0, rate="5"), "scan_data: rate must be > 0 Hz.*, not '5'"),
        (lambda: ops.align(rx.empty(), rate=0), "align: rate must be > 0 Hz.*, not 0"),
        (lambda: ops.capture(5, before=1), "5 is no stream of chunks; options need their names"),  # type: ignore[arg-type]
        (lambda: ops.merge_by_time([KEPT]), r"takes streams one by one, merge_by_time\(\*streams"),  # type: ignore[arg-type]
        (lambda: ops.align(Simulated()), r"it describes a device: Device\(\.\.\.\) of it"),  # type: ignore[arg-type]
        (lambda: ops.scan_data(abs, 0, shape=()), "shape: the data decide"),
        (lambda: ops.capture(KEPT, before=1, merge="x"), "merge must be True or False, not 'x'"),  # type: ignore[arg-type]
        (lambda: ops.decimate(np.float64(4)), "q must be a whole number"),
        (lambda: ops.decimate(np.int64(1)), "q must be a whole number"),
        (lambda: ops.resample(True), "rate must be"),
        (lambda: ops.rechunk(np.True_), "size must be a whole number"),
        (lambda: ops.align(rx.empty(), offset=None), "offset must be seconds, not None"),  # type: ignore[arg-type]
        (lambda: ops.sosfilt([[0, 0, 0, 1, 0, 0]]), "section 0 lets nothing pass"),
        (lambda: ops.sosfilt([[1, 0, 0, 1, 0, 0]], initial=np.zeros(2)), "initial must be 'rest'"),  # type: ignore[arg-type]
        (lambda: ops.decimate(np.timedelta64(4, "s")), "q must be a whole number"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_where_the_pipe_is_built(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_gates_of_numbers_name_what_they_cannot_compare() -> None:
    info = StreamInfo("imu", 10.0, (), np.dtype([("x", float)]))
    whole = Chunk.regular(np.zeros(3, info.dtype), info, start=0)
    with pytest.raises(ChunkError, match=r"ops\.select, or give a function") as caught:
        run_operator(ops.gate(1), [whole])
    assert "imu" in str(caught.value.__notes__)
    function = ops.gate(lambda data: data["x"] >= 0)
    assert sum(map(len, run_operator(function, [whole]))) == 3


def test_rates_that_are_no_simple_multiple_are_refused() -> None:
    """The nearest one would be 10 ppm off: 36 ms an hour."""
    message = r"99\.999 Hz is no simple multiple of the 100.0 Hz of x; ask for .* or use .*linear"
    with pytest.raises(ChunkError, match=message):
        run_operator(ops.resample(99.999, method="polyphase"), [WHOLE])
    assert run_operator(ops.resample(30000 / 1001, method="polyphase"), [WHOLE])


def test_streams_of_a_join_are_given_as_a_list() -> None:
    """A stream can be iterated over, without end."""
    with pytest.raises(ParameterError, match="give the other streams as a list"):
        lift_multi(lambda: None, rx.of(1), "half")  # type: ignore[arg-type,return-value]
    with pytest.raises(ParameterError, match="half: 5 is no stream of chunks"):
        lift_multi(lambda: None, [5], "half")  # type: ignore[list-item,arg-type,return-value]
    with pytest.raises(ParameterError, match="takes what makes a step, a class or a function"):
        lift_multi(5, [rx.of(1)], "half")  # type: ignore[arg-type]


def test_a_joint_that_lacks_a_part_is_named() -> None:
    class Half:
        def push(self, port: int, chunk: Chunk[Any]) -> tuple[()]:
            return ()

    join = lift_multi(Half, [rx.empty()], "half")  # type: ignore[arg-type]
    with pytest.raises(
        ParameterError, match="half: Half is no MultiStep; it lacks marks, finished, done"
    ):
        rx.empty().pipe(join).subscribe()
