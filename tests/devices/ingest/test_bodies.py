"""Bodies of requests, without a server: what is taken, and what is refused, and how."""

import json
import threading
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxstream.authoring.samples import Samples
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.ingest import Ingest, Raw
from rxstream.devices.ingest.body import open_body
from rxstream.devices.ingest.inlet import Board, Inlet
from rxstream.devices.ingest.refusal import Refusal
from rxstream.devices.ingest.rows import _of_columns
from rxstream.devices.messages import Json, Text
from rxstream.errors import DeviceBusyError, ParameterError

ROWS, TIMED = Json([("x", "i4")]), Json([("x", "i4")], time="t")
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
BYTES = {"content-type": "application/octet-stream"}
CHUNKED = {"transfer-encoding": "chunked"}


def inlet(message: Any = ROWS, **options: Any) -> Inlet:
    source = Ingest("/", message, None, **options)
    return Inlet(message, source.info, "", source.max_bytes, source.max_pending)


def send(
    to: Inlet, body: bytes, headers: Mapping[str, str] = JSON, cuts: tuple[int, ...] = ()
) -> int:
    """Send a body in pieces; return how many samples were taken."""
    board = Board()
    board.add("/", to)
    length = {} if "transfer-encoding" in headers else {"content-length": str(len(body))}
    with open_body(board, "POST", "/", dict(headers) | length) as sent:
        edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
        for a, b in pairwise(edges):
            sent.feed(body[a:b])
        sent.end()
        return sent.count


def taken(from_: Inlet) -> np.ndarray[Any, Any]:
    readings = []
    while (ticket := from_.next(0)) is not None:
        ticket.taken.set_result(None)
        readings.append(ticket.reading.data)
    return np.concatenate(readings) if readings else np.empty(0, from_.info.dtype)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
@pytest.mark.parametrize("more", [{}, CHUNKED])
@given(cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_lines_are_taken_however_they_are_cut(
    end: bytes, more: dict[str, str], cuts: list[int]
) -> None:
    to = inlet()
    body = b'{"x": 1}\n[{"x": 2}, {"x": 3}]\r\n\n{"x": 4}' + end
    assert send(to, body, LINES | more, tuple(cuts)) == 4
    assert taken(to)["x"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("more", [{}, CHUNKED])
@given(cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_raw_samples_are_taken_however_they_are_cut(more: dict[str, str], cuts: list[int]) -> None:
    to = inlet(Raw(">i2", (3,)))
    data = np.arange(30, dtype=">i2").reshape(10, 3)
    assert send(to, data.tobytes(), BYTES | more, tuple(cuts)) == 10
    found = taken(to)
    assert found.dtype == np.int16
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize("more", [{}, CHUNKED])
def test_json_is_a_row_or_a_list(more: dict[str, str]) -> None:
    to = inlet()
    assert send(to, b'{"x": 1}', JSON | more) == 1
    assert send(to, b'[{"x": 2, "y": 0}, {"x": 3}]', JSON | more) == 2
    assert send(to, b"[]", JSON | more) == 0
    assert taken(to)["x"].tolist() == [1, 2, 3]


def test_texts_are_lines() -> None:
    to = inlet(Text(5))
    assert send(to, "früh\r\n\nspät".encode(), {"content-type": "text/plain; charset=utf-8"}) == 2
    assert taken(to).tolist() == ["früh", "spät"]


@pytest.mark.parametrize(
    ("message", "body", "headers", "status", "words"),
    [
        (ROWS, b'[{"x": 1}, {"x": "warm"}]', JSON, 400, r"row 2: x: 'warm' does not fit int32"),
        (ROWS, b'[{"x": 1}, {"y": 1}]', JSON, 400, r"row 2: .* has no 'x'"),
        (ROWS, b'{"x": 3000000000}', JSON, 400, r"row 1: x: 3000000000 is beyond int32"),
        (ROWS, b'{"x": ', JSON, 400, "the body is no JSON"),
        (ROWS, b"\xff", JSON, 400, "the body is no JSON .*utf-8"),
        (ROWS, b"[" * 100_000, JSON, 400, "the body is no JSON"),
        (ROWS, b"", JSON, 400, "the body is no JSON"),
        (ROWS, b"9" * 5000, JSON, 400, "the body is no JSON"),
        (ROWS, b'[{"x": 1}, ' + b"[" * 900 + b"]" * 900 + b"]", JSON, 400, "row 2"),
        (ROWS, b'{"x": 1}\n{"x": }\n', LINES, 400, r"row 2: .* is no JSON"),
        (ROWS, b'{"x": 1}\n\xff\n', LINES, 400, r"row 2: .* is not UTF-8"),
        (ROWS, b'{"x": 1}\n{"x": 1e99}\n', LINES, 400, r"row 2: x: 1e\+99 does not fit"),
        (Text(3), b"one\nseven\n", {"content-type": "text/plain"}, 400, "row 2: .* 5 characters"),
        (Raw("<f4"), b"12345", BYTES, 400, "ends within a sample: 1 bytes are left over of 4"),
        (Raw([("t", "f8")], time="t"), b"\0" * 6 + b"\xf8\x7f", BYTES, 400, "row 1: the time nan"),
        (TIMED, b'{"x": 1, "t": "soon"}', JSON, 400, "row 1: .*soon"),
        (TIMED, b'{"x": 1, "t": 1e99}', JSON, 400, "row 1: .* no time that int64"),
        (ROWS, b"x=1", {"content-type": "application/x-www-form-urlencoded"}, 415,
         "Content-Type is 'application/x-www-form-urlencoded'; send application/json"),
        (ROWS, b"{}", {}, 415, "Content-Type is ''"),
        (ROWS, b"{}", JSON | {"content-encoding": "gzip"}, 415, "send the body as it is"),
        (ROWS, b"{}", JSON | {"x-time": "5"}, 400, "X-Time is for Raw samples with a rate"),
        (Raw("<f4", rate=10.0), b"", BYTES | {"x-time": "noon"}, 400, "X-Time is 'noon'"),
        (ROWS, b"{}", JSON | {"idempotency-key": "k" * 201}, 400, "200 at most"),
        (ROWS, b"", LINES | CHUNKED | {"idempotency-key": "k"}, 411, "Content-Length"),
    ],
)  # fmt: skip
def test_what_is_no_sample_is_refused(
    message: Any, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    to = inlet(message)
    with pytest.raises(Refusal, match=words) as caught:
        send(to, body, headers)
    assert caught.value.status == status
    assert json.loads(caught.value.content)["error"] == str(caught.value)
    # all or nothing, and the room is free again
    assert not len(taken(to))
    to.reserve(16 << 20)


VALUES = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-200, 300), st.floats(), st.booleans(), st.none(),
    st.text(max_size=9), st.lists(st.integers(0, 5), max_size=3),
)  # fmt: skip
FIELDS = st.lists(
    st.sampled_from(["i1", "u8", "i8", "f4", "f8", "U4", "?", "(2,)f4"]), min_size=1, max_size=3
)


@settings(max_examples=40)
@given(FIELDS, st.data())
def test_rows_by_columns_are_those_one_by_one(fields: list[str], data: st.DataObject) -> None:
    dtype = np.dtype([(f"x{k}", kind) for k, kind in enumerate(fields)])
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(fields)), min_size=1, max_size=4))
    found = _of_columns(rows, dtype)
    if found is not None:
        expected = Samples(StreamInfo("x", dtype=dtype)).reading(rows).data
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_what_is_refused_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    to = inlet()
    for _ in range(3):
        for body, headers in ((b"[1]", JSON), (b"{}", {})):
            with pytest.raises(Refusal):
                send(to, body, headers)
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert texts[0].startswith("/: a request is refused (HTTP 400): row 1: 1 has no 'x'")


def test_bodies_have_a_bound() -> None:
    to = inlet(max_bytes=100)
    for more in ({}, CHUNKED):
        with pytest.raises(Refusal, match="100 at most are taken; send it in parts") as caught:
            send(to, b" " * 101, JSON | more)
        assert caught.value.status == 413
    with pytest.raises(Refusal, match=r"row 3 is longer than max_bytes=100") as caught:
        send(to, b'{"x": 1}\n{"x": 2}\n' + b" " * 101, LINES | CHUNKED, (18,))
    assert (caught.value.status, caught.value.more) == (413, {"row": 3, "samples": 2})
    assert taken(to)["x"].tolist() == [1, 2]


def test_what_waits_has_a_bound() -> None:
    to = inlet(max_bytes=100, max_pending=250)
    to.reserve(100)
    to.reserve(100)
    with pytest.raises(Refusal, match="200 bytes are waiting already, of 250") as caught:
        send(to, b" " * 60)
    assert caught.value.status == 503
    assert int(caught.value.headers["Retry-After"]) >= 1
    to.free(100)
    assert send(to, b'{"x": 1}' + b" " * 60) == 1


def test_a_body_that_is_sent_again_is_taken_once() -> None:
    to = inlet()
    for _ in range(3):
        for key in "ab":
            assert send(to, b'{"x": 1}', JSON | {"idempotency-key": key}) == 1
    assert len(taken(to)) == 2
    to = inlet(counter_bits=32)
    for _ in range(2):
        assert send(to, b'[{"x": 1}, {"x": 2}]', JSON | {"x-counter": "7"}) == 2
    assert taken(to)["x"].tolist() == [1, 2]
    # it counts anew: that is no repeat
    assert send(to, b'[{"x": 8}, {"x": 2}]', JSON | {"x-counter": "7"}) == 2
    assert taken(to)["x"].tolist() == [8, 2]


@pytest.mark.parametrize("given", ["", "-1", "x", "4294967296", "1" * 5000, "٣"])
def test_a_body_must_be_numbered(given: str) -> None:
    with pytest.raises(Refusal, match=r"X-Counter is .* from 0 to 2\*\*32 - 1") as caught:
        send(inlet(counter_bits=32), b'{"x": 1}', JSON | {"x-counter": given})
    assert caught.value.status == 400


def test_a_counter_goes_on_through_a_body_and_wraps() -> None:
    to = inlet(counter_bits=8)
    send(to, b'{"x": 1}\n{"x": 2}\n{"x": 3}\n', LINES | CHUNKED | {"x-counter": "254"}, (9, 18))
    counters = []
    while (ticket := to.next(0)) is not None:
        counters.append(ticket.reading.counter)
    assert counters == [254, 255, 0]


def test_after_closing_what_waits_is_refused() -> None:
    to = inlet()
    board = Board()
    board.add("/", to)
    with open_body(board, "POST", "/", JSON | {"content-length": "8"}) as sent:
        sent.feed(b'{"x": 1}')
        future = sent.end()
        assert future is not None
        to.close()
        with pytest.raises(Refusal, match="send it again"):
            future.result(0)
    with pytest.raises(Refusal, match="nobody takes samples here now") as caught:
        send(to, b'{"x": 1}')
    assert caught.value.status == 503


def test_a_path_has_one_stream_at_a_time() -> None:
    board, first, second = Board(), inlet(), inlet()
    board.add("/a", first)
    with pytest.raises(DeviceBusyError, match="path /a is taken"):
        board.add("/a", second)
    first.close()
    board.add("/a", second)
    assert board.find("/a") is second
    with pytest.raises(Refusal, match="no stream has the path /b") as caught:
        board.find("/b")
    assert caught.value.status == 404


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Basic s3cret", "Bearer s3cre", "Bearer é"])
def test_a_wrong_token_is_refused(given: str) -> None:
    source = Ingest(port=None)
    to = Inlet(ROWS, source.info, "s3cret")
    with pytest.raises(Refusal, match="Authorization: Bearer TOKEN") as caught:
        to.authorize({"authorization": given})
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    to.authorize({"authorization": "bearer s3cret"})


def test_many_threads_lose_nothing() -> None:
    to = inlet()

    def work(number: int) -> None:
        for k in range(100):
            send(to, json.dumps({"x": 1000 * number + k}).encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = taken(to)["x"].tolist()
    assert sorted(found) == [1000 * number + k for number in range(4) for k in range(100)]
    for number in range(4):
        assert [x for x in found if x // 1000 == number] == list(
            range(1000 * number, 1000 * number + 100)
        )


def test_stamps_of_raw_samples_are_exact() -> None:
    raw = Raw([("ticks", "<u4"), ("x", "<f4")], time="ticks", tick=1 / 32768)
    data = np.zeros(3, raw.dtype)
    data["ticks"] = [0, 32768, 2**32 - 1]
    assert raw.stamps(data).tolist() == [0, 10**9, 131071999969482]  # type: ignore[union-attr]
    assert Raw("i2").stamps(np.zeros(3, "i2")) is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"dtype": "O"}, "dtype"), ({"dtype": "wrong"}, "dtype"),
        ({"dtype": "f4", "shape": 3}, "shape"), ({"dtype": "f4", "tick": 0}, "tick"),
        ({"dtype": "f4", "rate": 0}, "rate"), ({"dtype": "f4", "time": "t"}, "time must name"),
        ({"dtype": [("t", "U3")], "time": "t"}, "time must name"),
        ({"dtype": "f4", "time": 0}, "time must name"),
    ],
)  # fmt: skip
def test_wrong_formats_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        Raw(**options)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"path": "roof"}, "path"), ({"path": "/a?b"}, "path"), ({"path": 5}, "path"),
        ({"message": 5}, "message"), ({"port": 0}, "port"), ({"port": 70_000}, "port"),
        ({"port": "x"}, "port"), ({"counter_bits": 65}, "counter_bits"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"max_pending": 5}, "max_pending"), ({"max_delay": 0}, "max_delay"),
        ({"token": "s3cret"}, "env:NAME"), ({"host": "0.0.0.0"}, "token="), ({"key": "k"}, "cert="),
        ({"port": None, "cert": "c"}, "cert is for a server of its own"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word) as caught:
        Ingest(**options)
    assert "s3cret" not in str(caught.value)
