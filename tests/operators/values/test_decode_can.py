"""decode_can: the samples of ``Can(decode=)``, in the pipe; the decoder has tests of its own."""

import threading

import can
import numpy as np
import pytest
import reactivex as rx
from can_cases import DBC, rows
from fakes import eventually

from rxstream import Chunk, Device
from rxstream import operators as ops
from rxstream.devices.can import Can, CanFlag
from rxstream.errors import ChunkError, FormatError
from rxstream.testing import check_operator, infos, streams

INFO = Can("can0", interface="virtual").info
KINDS = [(291, CanFlag.RX), (352, CanFlag.EXTENDED), (291, CanFlag.REMOTE)]


def messages(chunk: Chunk) -> Chunk:
    """Return a chunk of CAN messages at the times of another, each by its number."""
    numbers = range(chunk.index, chunk.index + len(chunk))
    made = [(KINDS[k % 3][0], k.to_bytes(8, "little"), KINDS[k % 3][1]) for k in numbers]
    return chunk.with_data(rows(*made), INFO)


def test_laws() -> None:
    source = streams(infos(regular=False)).map(lambda chunks: [messages(c) for c in chunks])
    check_operator(lambda: ops.decode_can(DBC), regroups=False, source=source)


def test_marble() -> None:
    """A message of the database, and one that it does not have."""
    sent = Chunk.stamped(rows((291, b"\xa0\x0f", 0), (0x200, b"\1", 0)), [0, 1], INFO)
    out: list[Chunk] = []
    rx.of(sent[:1], sent[1:]).pipe(ops.decode_can(DBC, ["Speed"])).subscribe(out.append)
    np.testing.assert_equal([c.data["Speed"].tolist() for c in out], [[1000.0], [np.nan]])
    assert [c.data["message"].tolist() for c in out] == [[0], [-1]]
    assert out[0].info is out[1].info
    assert out[0].info.extra["interface"] == "virtual"


def test_each_subscription_learns_for_itself_whether_the_database_matches() -> None:
    stranger = Chunk.stamped(rows((7, b"", 0)), [0], INFO)
    known = Chunk.stamped(rows((291, b"", 0)), [0], INFO)
    decode = ops.decode_can(DBC)
    rx.of(known).pipe(decode).run()
    with pytest.raises(FormatError, match=r"of the stream \(0x7\) it has none; it has 0x123"):
        rx.of(stranger).pipe(decode).run()
    rx.of(known, stranger).pipe(decode).run()


def test_decoding_in_the_pipe_gives_the_same() -> None:
    device = Device(Can("pipe", interface="virtual"))
    decoded: list[Chunk] = []
    device.pipe(ops.decode_can(DBC, ["Speed"])).subscribe(decoded.append)
    with can.Bus("pipe", interface="virtual") as bus, device:
        for i in range(50):
            data = (4 * i).to_bytes(8, "little")
            bus.send(can.Message(arbitration_id=291, is_extended_id=False, data=data))
        assert eventually(lambda: sum(map(len, list(decoded))) == 50)
    expected = Can("pipe", interface="virtual", decode=DBC, signals=["Speed"]).info
    assert decoded[0].info == expected
    assert [v for chunk in decoded for v in chunk.data["Speed"]] == [float(i) for i in range(50)]


def test_decoding_in_the_pipe_wants_can_messages() -> None:
    from rxstream.devices.simulated import Simulated

    failed = threading.Event()
    errors: list[Exception] = []
    device = Device(Simulated(rate=1000.0))
    device.pipe(ops.decode_can(DBC)).subscribe(
        lambda _: None, lambda error: (errors.append(error), failed.set())
    )
    with device:
        assert failed.wait(10)
    assert isinstance(errors[0], ChunkError)
    assert "takes CAN messages, not simulated" in str(errors[0])
