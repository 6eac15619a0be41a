"""What users of stream2py asked for: issues 6 to 20, each by its number."""

import queue
import threading
from typing import Any

import numpy as np
import pytest
from played import RATE, START, microphone, played

from rxstream import Chunk, Device, StreamInfo
from rxstream.devices import Iterable
from rxstream.devices.simulated import Simulated

pytestmark = pytest.mark.real

# -- issue 14: slices that can be joined --------------------------------------------------------

DATA = {
    "sound": np.arange(40, dtype=np.int16).reshape(20, 2),
    "frames": np.arange(20 * 12, dtype=np.uint8).reshape(20, 2, 2, 3),
    "rows": np.array([(k, f"row {k}") for k in range(20)], [("n", "i4"), ("text", "U8")]),
    "texts": np.array([f"text {k}" for k in range(20)]),
    "objects": np.array([{"k": k} for k in range(20)], object),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("regular", [True, False])
def test_issue_14_slices_of_every_type_join_exactly(kind: str, regular: bool) -> None:
    data = DATA[kind]
    info = StreamInfo(kind, 10.0 if regular else None, data.shape[1:], data.dtype)
    if regular:
        chunk: Chunk[Any] = Chunk.regular(data, info, start=START)
    else:
        chunk = Chunk.stamped(data, START + np.arange(20) ** 2, info)
    for a, b, c in ((0, 7, 20), (3, 4, 5), (5, 5, 9)):
        joined = chunk[a:b] + chunk[b:c]
        assert joined.data.tolist() == data[a:c].tolist()
        assert np.array_equal(joined.time, chunk.time[a:c])
        assert (joined.start, joined.end) == (chunk[a:c].start, chunk[a:c].end)


# -- issues 6, 8, 10, 15, 17, 18, 20 ------------------------------------------------------------


def test_issue_6_closed() -> None:
    device = microphone()
    states = [device.state]
    with played(device):
        states.append(device.state)
    assert [*states, device.state] == ["closed", "ended", "closed"]


def test_issue_8_timeout() -> None:
    device = Device(Simulated(rate=10.0))
    with device, device.reader() as reader, pytest.raises(TimeoutError, match="in time"):
        reader.read(1000, timeout=0.02)


def test_issue_10_next() -> None:
    mic = microphone()
    chunks = iter(mic.reader())
    with played(mic):
        assert len(next(chunks)) > 0
        assert sum(map(len, chunks)) > 0
        with pytest.raises(StopIteration):
            next(chunks)


def test_issue_15_exceptions_have_one_base_and_are_pythons_own_too() -> None:
    from rxstream import errors

    kinds = {name: getattr(errors, name) for name in errors.__all__}
    assert issubclass(kinds["DeviceLostError"], errors.DeviceError)
    assert issubclass(kinds["DeviceError"], OSError)
    assert issubclass(kinds["ParameterError"], ValueError)
    for name, kind in kinds.items():
        if issubclass(kind, Exception) and name != "EndOfStream":
            assert issubclass(kind, errors.RxStreamError), name


def test_issue_17_defaults_are_not_shared() -> None:
    one, two = Iterable([1.0]), Iterable([2.0])
    assert one.info == two.info
    with pytest.raises(TypeError):
        one.info.extra["x"] = 1
    assert Device(one).info is not Device(two).info or not Device(one).info.extra


def test_issue_18_reading_before_it_has_started_waits_for_it() -> None:
    mic = microphone()
    got: queue.SimpleQueue[int] = queue.SimpleQueue()
    with mic.reader() as reader:
        thread = threading.Thread(target=lambda: got.put(len(reader.read(10, timeout=20))))
        thread.start()
        with played(mic):
            thread.join(20)
    assert got.get(timeout=20) == 10


def test_issue_20_blocking() -> None:
    device = Device(Simulated(rate=RATE, signal="ramp"))
    with device.reader() as reader, device:
        assert reader.read(37, timeout=20).data.tolist() == [*range(37)]
