"""Lines and events in the body of an answer, however it is cut."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.devices.http.events import EventReader, LineReader

CUTS = st.lists(st.integers(0, 10_000), max_size=12)


def fed(reader: Any, data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [message for a, b in pairwise(edges) for message in reader.feed(data[a:b])]


@given(CUTS)
def test_lines_are_whole(cuts: list[int]) -> None:
    reader = LineReader(100)
    assert fed(reader, b"one\r\n\ntwo\nthree", cuts) == [b"one", b"two"]
    assert reader.rest() == [b"three"]
    assert reader.rest() == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@given(CUTS)
def test_events_are_those_of_the_standard(end: bytes, cuts: list[int]) -> None:
    lines = [
        b"\xef\xbb\xbfdata: first", b"", b": a comment", b"", b"data", b"data", b"", b"data:two",
        b"data:  lines", b"id: 7", b"event: level", b"", b"id: 8", b"retry: 5", b"", b"id",
        b"data: x", b"", b"id: 9", b"data: not whole", b"",
    ]  # fmt: skip
    reader = EventReader("", 1000)
    found = fed(reader, end.join(lines), cuts)
    assert found == [b"first", b"\n", b"two\n lines", b"x"]
    assert reader.last_id == ""


@given(CUTS)
def test_one_kind_of_event_is_taken_and_all_are_numbered(cuts: list[int]) -> None:
    text = b"event: a\nid: 1\ndata: x\n\nid: 2\ndata: y\n\nevent: b\nid: 3\ndata: z\n\n: end\n"
    reader = EventReader("a", 1000)
    assert fed(reader, text, cuts) == [b"x"]
    assert reader.last_id == "3"
    assert fed(EventReader("message", 1000), text, cuts) == [b"y"]


@pytest.mark.parametrize("make", [LineReader, lambda most: EventReader("", most)])
def test_a_message_without_end_is_no_message(make: Any) -> None:
    reader = make(100)
    for _ in range(10):
        assert not reader.feed(b"data:xxxxx")
    with pytest.raises(ConnectionError, match="max_bytes"):
        reader.feed(b"data:xxxxx")
