"""Parts of a body of images, however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.devices.http.frames import FrameDecoder, Jpeg
from rxstream.devices.http.parts import Part, PartReader, boundary_of, stamp_of
from rxstream.errors import DeviceLostError, ParameterError

CUTS = st.lists(st.integers(0, 10_000), max_size=12)

# what images may hold: ends of lines, and dashes
DATA = [b"one", b"", b"\r\n--\r\n\r\n", b"--fram\n--fra", b"\n" * 5, b"last"]


def fed(reader: PartReader, data: bytes, cuts: list[int]) -> list[Part]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [part for a, b in pairwise(edges) for part in reader.feed(data[a:b])]


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@given(cuts=CUTS)
def test_parts_are_found(length: bool, end: bytes, cuts: list[int]) -> None:
    body = b"a preamble" + end
    for data in DATA:
        head = [b"--frame", b"Content-Type: image/jpeg"]
        head += [b"Content-length:  %d" % len(data)] * length
        body += end.join([*head, b"", data, b""])
    reader = PartReader(b"frame", 1000)
    found = fed(reader, body + b"--frame--" + end + b"an epilogue", cuts)
    if not length:
        # a return before the end of the line is a part of that
        wanted = [data.removesuffix(b"\r") if end == b"\n" else data for data in DATA]
        assert [part.data for part in found] == wanted
    else:
        assert [part.data for part in found] == DATA
    assert reader.over
    assert all(part.headers["content-type"] == "image/jpeg" for part in found)


@given(cuts=CUTS)
def test_a_part_that_lacks_bytes_is_broken_and_the_next_one_is_not(cuts: list[int]) -> None:
    body = (
        b"--x\r\nContent-Length: 3\r\n\r\none\r\n--x\r\nContent-Length: 300\r\n\r\ntw\r\n"
        + b"".join(b"--x\r\nContent-Length: 60\r\n\r\n%s\r\n" % (b"t" * 60) for _ in range(5))
    )
    found = [part.data for part in fed(PartReader(b"x", 1000), body, cuts)]
    assert found == [b"one", b"", *[b"t" * 60] * 5]


def test_what_has_no_end_is_no_part() -> None:
    for start in (b"--x\r\n\r\n", b"--x\r\nContent-Length: 2000\r\n\r\n"):
        reader = PartReader(b"x", 1000)
        with pytest.raises(ConnectionError, match="of max_bytes=1000"):
            reader.feed(start + b"y" * 1900)
    reader = PartReader(b"x", 1000)
    for _ in range(100):
        assert not reader.feed(b"y" * 1000)
    with pytest.raises(ConnectionError, match="headers of a part have no end"):
        reader.feed(b"--x\r\n" + b"y" * 20_000)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/x-mixed-replace;boundary=frame", b"frame"),
        ("multipart/x-mixed-replace; boundary=--frame", b"frame"),
        ('Multipart/X-Mixed-Replace; charset=x; boundary="a b"', b"a b"),
        ("multipart/x-mixed-replace", b""), ("image/jpeg", b""), ("", b""),
    ],
)  # fmt: skip
def test_the_boundary_is_found(kind: str, boundary: bytes) -> None:
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    ("given", "stamp"),
    [
        ("12.5", 12_500_000_000), ("1764503215.000001", 1764503215000001000), ("7", 7_000_000_000),
        ("2026-01-01T00:00:00Z", 1767225600_000_000_000), ("", None), ("nan", None),
        ("1e999999999", None), ("soon", None),
        ("999999999999", None),
    ],
)  # fmt: skip
def test_stamps_are_exact(given: str, stamp: int | None) -> None:
    assert stamp_of({"x-timestamp": given}) == stamp


def test_broken_images_are_counted() -> None:
    from image_servers import image, number_of

    decoder = FrameDecoder(Jpeg(), "door")
    whole = image(7)
    frame = decoder.frame(whole + b"\0" * 20)
    assert frame is not None
    assert (frame.shape, number_of(frame)) == ((48, 64, 3), 7)
    for data in (b"", b"no image", whole[:-100], whole[:2] + whole[-2:]):
        assert decoder.frame(data) is None
    assert decoder.lost == 4
    reading = decoder.reading(whole)
    assert reading is not None
    assert (reading.lost, decoder.lost) == (4, 0)
    with pytest.raises(DeviceLostError, match=r"were \(48, 64, 3\) and are \(24, 32, 3\) now"):
        decoder.frame(image(7, (32, 24)))
    rgb = FrameDecoder(Jpeg("rgb"), "door").frame(whole)
    gray = FrameDecoder(Jpeg("gray"), "door").frame(whole)
    assert rgb is not None
    assert gray is not None
    assert (number_of(rgb, red=0), gray.shape) == (7, (48, 64))
    with pytest.raises(ParameterError, match="color"):
        Jpeg("hsv")  # type: ignore[arg-type]
