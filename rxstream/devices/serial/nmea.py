"""NMEA 0183: where a GPS receiver is, and when."""

import datetime as dt
import math
import re
from dataclasses import dataclass
from functools import reduce
from operator import xor

import numpy as np

from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["NMEA_DTYPE", "Nmea"]

NMEA_DTYPE = np.dtype([
    ("latitude", "f8"), ("longitude", "f8"), ("altitude", "f4"), ("speed", "f4"),
    ("course", "f4"), ("hdop", "f4"), ("satellites", "u1"), ("fix", "u1"),
])  # fmt: skip
"""A position: degrees north and east, metres above the sea, metres per second, degrees from north,
dilution of the position, satellites in use, and the quality of the fix (0: none)."""

_UNITS = {"latitude": "°", "longitude": "°", "altitude": "m", "speed": "m/s", "course": "°"}
_KNOT = 1852 / 3600  # [m/s]
_SENTENCE = re.compile(rb"\$[A-Z]{2}(GGA|RMC),([^*$]*)\*([0-9A-Fa-f]{2})\s*\Z")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# Fields of a sentence that are read.
_FIELDS = {"GGA": 9, "RMC": 9}

# Longest sentence, with room for receivers that exceed the 82 of the norm [bytes].
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Nmea:
    r"""Positions of a GPS receiver, one for each time of it: samples of `NMEA_DTYPE`.

    Sentences of one time, of whatever constellation, are one sample. A time of which one is
    missing or damaged is lost, but for the first after opening. What a receiver does not say is
    NaN; without a fix so is the position. The stamp of a sample is the receiver's UTC, where RMC
    gives it with a fix.

    Attributes
    ----------
    sentences
        What is read of each time: ``"GGA"`` (position, height, satellites), ``"RMC"`` (position,
        speed, date), or both.

    Examples
    --------
    >>> Nmea().info.extra["units"]["speed"]
    'm/s'
    """

    sentences: tuple[str, ...] = ("GGA", "RMC")

    def __post_init__(self) -> None:
        wanted = self.sentences
        if not isinstance(wanted, list | tuple) or not wanted or set(wanted) - _FIELDS.keys():
            msg = f"Nmea: sentences must be 'GGA', 'RMC' or both, in a tuple, not {shown(wanted)}"
            raise ParameterError(msg)
        object.__setattr__(self, "sentences", tuple(wanted))

    @property
    def info(self) -> StreamInfo:
        """What the samples are."""
        return StreamInfo("gps", None, (), NMEA_DTYPE, extra={"units": _UNITS})

    def decoder(self) -> "NmeaDecoder":
        """Return a decoder for an opening of the line."""
        return NmeaDecoder(frozenset(self.sentences))


class NmeaDecoder:
    """Finds positions in bytes."""

    missing = 1

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._rest = b""
        self._time: str | None = None  # of the day, of the sentences in `_found`
        self._found: dict[str, list[str]] = {}
        self._lost = 0
        self._begun = False  # whether a time was complete

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; return the positions that are complete."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LONGEST:]
        readings = []
        for line in lines:
            kind, fields = _sentence(line)
            if kind not in self._wanted:
                continue
            if fields[0] != self._time:
                self._lost += bool(self._found) and self._begun
                self._time, self._found = fields[0], {}
            self._found[kind] = fields
            if self._wanted <= self._found.keys():
                try:
                    readings.append(self._reading())
                except ValueError:  # no number where one should be
                    self._lost += self._begun
                self._found = {}
        return readings

    def _reading(self) -> Reading:
        row = np.zeros(1, NMEA_DTYPE)
        for name in ("latitude", "longitude", "altitude", "speed", "course", "hdop"):
            row[name] = math.nan
        gga, rmc = self._found.get("GGA"), self._found.get("RMC")
        if rmc is not None:
            row["fix"] = rmc[1] == "A"
            row["speed"], row["course"] = _number(rmc[6]) * _KNOT, _number(rmc[7])
        if gga is not None:
            row["fix"], row["satellites"] = int(gga[5] or 0), int(gga[6] or 0)
            row["hdop"], row["altitude"] = _number(gga[7]), _number(gga[8])
        if row["fix"][0]:
            at = gga[1:5] if gga is not None else (rmc or [])[2:6]
            row["latitude"], row["longitude"] = _degrees(*at[:2]), _degrees(*at[2:])
        stamp = None if rmc is None or rmc[1] != "A" else _stamp(rmc[8], rmc[0])
        lost, self._lost, self._begun = self._lost, 0, True
        return Reading(row, device_time=stamp, lost=lost or None)


def _sentence(line: bytes) -> tuple[str, list[str]]:
    """Return kind and fields of a sentence that is whole and has a time; nothing for others."""
    found = _SENTENCE.search(line)
    if found is None:
        return "", []
    if reduce(xor, line[found.start() + 1 : found.start(3) - 1]) != int(found[3], 16):
        return "", []
    kind, fields = found[1].decode(), found[2].decode(errors="replace").split(",")
    return (kind, fields) if len(fields) >= _FIELDS[kind] and fields[0] else ("", [])


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _degrees(text: str, side: str) -> float:
    """Return degrees of ``ddmm.mmmm`` and a side of the world."""
    if not text:
        return math.nan
    degrees, minutes = divmod(float(text), 100)
    return (degrees + minutes / 60) * (-1 if side in ("S", "W") else 1)


def _stamp(date: str, time: str) -> int | None:
    """Return ``ddmmyy`` and ``hhmmss.sss`` of UTC [ns]; None without a date."""
    if not date:
        return None
    day, month, year = int(date[:2]), int(date[2:4]), int(date[4:6])
    # the norm has two digits of the year: 1980, when GPS began, to 2079
    year += 2000 if year < 80 else 1900
    whole = dt.datetime(year, month, day, tzinfo=dt.UTC)
    seconds = (whole - _EPOCH).days * 86_400 + int(time[:2]) * 3600 + int(time[2:4]) * 60
    rest = time[4:]
    return seconds * 10**9 + round(float(rest) * 1e9)
