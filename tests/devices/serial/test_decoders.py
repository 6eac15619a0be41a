"""The samples in the bytes of a serial line, however they are cut."""

import binascii
import math
import struct
from functools import reduce
from itertools import pairwise
from operator import xor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Reading
from rxstream.devices import Serial
from rxstream.devices.serial import Lines, Nmea, Packets, SerialProtocol
from rxstream.errors import ParameterError


def fed(protocol: SerialProtocol, data: bytes, cuts: list[int] | None = None) -> list[Reading]:
    """Return all readings of bytes that come in pieces."""
    decoder, readings = protocol.decoder(), []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    for begin, end in pairwise(edges):
        readings += decoder.feed(data[begin:end])
        assert decoder.missing >= 1
    return readings


def samples(readings: list[Reading]) -> list[Any]:
    return [value for reading in readings for value in reading.data.tolist()]


def losses(readings: list[Reading]) -> list[tuple[int, int]]:
    """Return where something was lost, and how much."""
    out, count = [], 0
    for reading in readings:
        if reading.lost:
            out.append((count, reading.lost))
        count += len(reading.data)
    return out


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


# -- lines ------------------------------------------------------------------------------------


@given(CUTS)
def test_lines_are_whole_and_bad_ones_counted(cuts: list[int]) -> None:
    long = b"x" * 21
    data = b"rt\none\r\n\ntw\xc3\xb6\n\xff\xfe\n" + long + b"\nthree\n" + long * 50 + b"\nfour\nfi"
    readings = fed(Lines(longest=20), data, cuts)
    assert samples(readings) == ["one", "twö", "three", "four"]
    assert losses(readings) == [(2, 2), (3, 1)]


@given(CUTS)
def test_numbers_have_to_be_all_there(cuts: list[int]) -> None:
    data = b"9\n1, 2\n1.5,-2e3\n1\n1,2,3\n1,x\n1_0,2\nnan,4\n\n5,6\n7,"
    readings = fed(Lines(("a", "b")), data, cuts)
    assert str(samples(readings)) == str([[1.0, 2.0], [1.5, -2000.0], [math.nan, 4.0], [5.0, 6.0]])
    assert losses(readings) == [(2, 4)]


def test_numbers_between_blanks_and_one_number() -> None:
    blanks = fed(Lines(("a", "b"), separator=" ", unit="V"), b"\n 1  2\t\n3\t4\n")
    assert samples(blanks) == [[1.0, 2.0], [3.0, 4.0]]
    assert samples(fed(Lines(("a",)), b"\n20.5\n")) == [20.5]
    assert Lines(("a",)).info.shape == ()
    assert Lines(("a", "b"), unit="V").info.channels == ("a", "b")


def test_a_line_without_end_takes_no_room() -> None:
    decoder = Lines(longest=10).decoder()
    for _ in range(100):
        assert not decoder.feed(b"x" * 1000)
    assert len(decoder._rest) < 100
    assert samples(decoder.feed(b"\nshort\n")) == ["short"]


# -- packets ----------------------------------------------------------------------------------

LOAD = Packets(
    b"\xaa\x55",
    [("count", "<u2"), ("clock", "<u2"), ("weight", "<f4"), ("_state", "u1"), ("crc", "<u2")],
    counter="count", time="clock", tick=1e-3, check="crc", checksum="crc16-ccitt", unit="kg",
)  # fmt: skip


def load(number: int, weight: float) -> bytes:
    body = b"\xaa\x55" + struct.pack("<HHfB", number, number * 100 & 0xFFFF, weight, 3)
    return body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))


@given(CUTS, st.binary(max_size=40), st.integers(0, 12))
def test_packets_are_found_again(cuts: list[int], garbage: bytes, hit: int) -> None:
    packets = [load(k, k / 2) for k in range(8)]
    packets[5] = bytes(byte ^ (k == hit) for k, byte in enumerate(packets[5]))
    data = b"\xaa" + b"".join(packets[:3]) + garbage + b"".join(packets[3:]) + packets[0][:7]
    readings = fed(LOAD, data, cuts)
    assert samples(readings) == [(k / 2,) for k in range(8) if k != 5]
    assert [reading.counter for reading in readings] == [0, 1, 2, 3, 4, 6, 7]
    assert not losses(readings)


def test_a_clock_is_counted_on() -> None:
    readings = fed(LOAD, b"".join(load(k & 0xFFFF, 0.0) for k in range(65_000, 66_400)))
    first, last = readings[0].device_time, readings[-1].device_time
    assert isinstance(first, int)
    assert isinstance(last, int)
    assert last - first == 1399 * 100 * 1_000_000


@given(CUTS)
def test_without_checksum_the_next_packet_proves_it(cuts: list[int]) -> None:
    packets = Packets(b"\xaa\x55", [("x", ">i2"), ("y", "u1")])
    data = [b"\xaa\x55" + struct.pack(">hB", k, k) for k in range(9)]
    # sync bytes by chance, and a packet that lacks a byte
    stream = b"\xaa\x55junk" + b"".join(data[:4]) + data[4][:-1] + b"".join(data[5:])
    readings = fed(packets, stream, cuts)
    # 4 swallows the first byte of 5, which goes with it; 6 is the first that is proved
    values = [x for x, _ in samples(readings)]
    assert values[:3] == [1, 2, 3]
    assert values[-2:] == [7, 8]
    assert len(losses(readings)) == 1


@given(CUTS)
def test_damage_without_a_counter_is_a_loss_of_its_length(cuts: list[int]) -> None:
    packets = Packets(b"\xaa", [("x", "<i2", (2, 3)), ("sum", "u1")], "x", samples=2, check="sum")
    body = b"\xaa" + np.arange(6, dtype="<i2").tobytes()
    whole = body + bytes([sum(body) % 256])
    readings = fed(packets, b"\x01" * 60 + whole + b"\x01" * 30 + whole * 2 + b"\x00" + whole, cuts)
    assert samples(readings) == [[0, 1, 2], [3, 4, 5]] * 4
    assert losses(readings) == [(2, 4), (6, 2)]
    assert packets.info.shape == (3,)
    assert packets.info.quantum == 2


def test_a_counter_of_packets_counts_samples() -> None:
    layout = [("number", "u1"), ("x", "u1", (10,))]
    packets = Packets(b"\xaa", layout, "x", samples=10, counter="number", counts="packets")
    numbers = [k % 256 for k in range(300) if k not in (100, 101)]
    readings = fed(packets, b"".join(b"\xaa" + bytes([k]) + bytes(10) for k in numbers))
    counted = [reading.counter for reading in readings]
    assert np.diff(np.array(counted)).tolist() == [10] * 98 + [30] + [10] * (len(counted) - 100)


@pytest.mark.parametrize(
    ("checksum", "wanted"),
    [("sum", 0xDD), ("negsum", 0x23), ("xor", 0x31), ("crc16-ccitt", 0x29B1),
     ("crc16-modbus", 0x4B37), ("crc32", 0xCBF43926), (len, 9)],
)  # fmt: skip
def test_checksums_are_those_that_are_published(checksum: Any, wanted: int) -> None:
    width = {"sum": 1, "negsum": 1, "xor": 1, "crc32": 4}.get(str(checksum), 2)
    packets = Packets(
        b"\x00", [("text", "S9"), ("c", f"<u{width}")], "text", check="c", checksum=checksum,
        checks_sync=False,
    )  # fmt: skip
    sent = b"\x00123456789" + wanted.to_bytes(width, "little")
    assert samples(fed(packets, sent)) == [b"123456789"]
    assert not fed(packets, sent[:-1] + b"\x77")


# -- gps --------------------------------------------------------------------------------------


def sentence(text: str, talker: str = "GP") -> bytes:
    body = f"{talker}{text}".encode()
    return b"$" + body + b"*%02X\r\n" % reduce(xor, body)


def gga(time: str, fix: int = 1) -> str:
    return f"GGA,{time},4807.038,N,01131.000,W,{fix},08,0.9,545.4,M,47.0,M,,"


def rmc(time: str, status: str = "A", date: str = "230394") -> str:
    return f"RMC,{time},{status},4807.038,N,01131.000,W,022.4,084.4,{date},003.1,W"


@given(CUTS)
def test_positions_of_a_receiver(cuts: list[int]) -> None:
    damaged = sentence(rmc("123522.00")).replace(b"022", b"023")
    data = b"".join([
        sentence(rmc("123518.00")),  # its GGA came before the port was open
        sentence(gga("123519.00")), sentence("GSV,1,1,00"), sentence(rmc("123519.00"), "GN"),
        sentence(rmc("123520.50")), b"noise", sentence(gga("123520.50")),
        sentence(gga("123522.00")), damaged,
        sentence(gga("123523.00", fix=0)), sentence(rmc("123523.00", "V", "")),
        sentence(gga("")), sentence(rmc("")),
    ])  # fmt: skip
    readings = fed(Nmea(), data, cuts)
    first, second, third = (reading.data[0] for reading in readings)
    assert first["latitude"] == pytest.approx(48 + 7.038 / 60)
    assert first["longitude"] == pytest.approx(-11 - 31 / 60)
    assert first["altitude"] == pytest.approx(545.4)
    assert first["speed"] == pytest.approx(22.4 * 0.514444, rel=1e-5)
    assert (first["satellites"], first["fix"], second["fix"], third["fix"]) == (8, 1, 1, 0)
    assert np.isnan(third["latitude"])
    seconds = np.datetime64("1994-03-23T12:35:19").astype("datetime64[ns]").astype(int)
    assert [reading.device_time for reading in readings] == [
        seconds, seconds + 1_500_000_000, None,
    ]  # fmt: skip
    assert losses(readings) == [(2, 1)]


def test_a_receiver_that_sends_one_sentence() -> None:
    (reading,) = fed(Nmea(("RMC",)), sentence(rmc("123519")))
    assert reading.data["latitude"] == pytest.approx(48 + 7.038 / 60)
    assert np.isnan(reading.data["altitude"])


@given(st.lists(st.sampled_from(["", "x", "-", "1e9", "é"]), min_size=9, max_size=9), CUTS)
def test_nonsense_in_a_good_sentence_is_lost(fields: list[str], cuts: list[int]) -> None:
    text = ",".join(["RMC", "123519", "A", *fields])
    data = sentence(rmc("123518")) + sentence(text) + sentence(rmc("123520"))
    readings = fed(Nmea(("RMC",)), data, cuts)
    assert 2 <= len(readings) <= 3


# -- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Lines("xy"), "columns"),  # type: ignore[arg-type]
        (lambda: Lines(None), "columns"),  # type: ignore[arg-type]
        (
            lambda: Lines(("x", "y", "x")),
            r"columns must be names, each another, not \('x', 'y', 'x'",
        ),
        (lambda: Lines(("x", "")), r"columns must be names, each another, not \('x', ''\)"),
        (lambda: Lines(separator=""), "separator"),
        (lambda: Lines(longest=0), "longest"),
        (lambda: Lines(encoding="utf-16"), "encoding"),
        (lambda: Lines(encoding="nonsense"), "encoding"),
        (lambda: Lines(rate=-1.0), "rate"),
        (lambda: Packets(b"", [("x", "u1")]), "sync"),
        (lambda: Packets("a", [("x", "u1")]), "sync"),  # type: ignore[arg-type]
        (lambda: Packets(b"a", [("x", "nonsense")]), "layout"),
        (lambda: Packets(b"a", [("x", "O")], "x"), "layout has Python objects"),
        (lambda: Packets(b"a", [("n", "u1")], counter="n"), "no field for a sample"),
        (lambda: Packets(b"a", [("x", "u1")], "y"), "data='y' is no field"),
        (lambda: Packets(b"a", [("x", "f4"), ("n", "i2")], counter="n"), "unsigned"),
        (lambda: Packets(b"a", [("c", "u1"), ("x", "u1")], check="c"), "last field"),
        (lambda: Packets(b"a", [("x", "u1")], "x", samples=2), "samples"),
        (lambda: Packets(b"a", [("x", "u1")], checksum="md5"), "checksum"),  # type: ignore[arg-type]
        (lambda: Packets(b"a", [("t", "u1"), ("x", "u1")], time="t", tick=0), "tick"),
        (lambda: Nmea(("GSV",)), "sentences"),
        (lambda: Serial(""), "port"),
        (lambda: Serial("a", 0), "baud"),
        (lambda: Serial("a", protocol="lines"), "protocol"),  # type: ignore[arg-type]
        (lambda: Serial("a", protocol=Lines), "protocol"),  # type: ignore[arg-type]
        (lambda: Serial("a", bits=9), "bits"),
        (lambda: Serial("a", parity="mark"), "parity"),  # type: ignore[arg-type]
        (lambda: Serial("a", stop_bits=3), "stop_bits"),
        (lambda: Serial("a", stop_bits=True), "stop_bits"),
        (lambda: Serial("a", flow="yes"), "flow"),  # type: ignore[arg-type]
        (lambda: Serial("a", dtr=1), "dtr"),  # type: ignore[arg-type]
        (lambda: Serial("a", begin="go"), "begin"),  # type: ignore[arg-type]
    ],
)
def test_wrong_options_are_named(make: Any, word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        make()
