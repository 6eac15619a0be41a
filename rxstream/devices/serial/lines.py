"""Lines of text, or of numbers."""

import codecs
from dataclasses import dataclass
from typing import Any

import numpy as np

from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["Lines"]

# Most bytes of a character in any encoding of Python.
_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Lines:
    r"""Lines of text, or of numbers: a sample each.

    Lines end with ``"\n"`` or ``"\r\n"``; empty ones are skipped. What comes before the first end
    of a line after opening may be a part of one, and is no sample. A line that cannot be decoded,
    is longer than ``longest``, or has not the numbers it should have, is lost: the next sample has
    a ``Gap`` that counts those before it.

    Attributes
    ----------
    columns
        Names of the numbers in a line; empty: the sample is the text of the line. One name makes
        samples float64 of shape ``()``, several ``(n,)``.
    separator
        What is between numbers; ``" "``: any blanks and tabs.
    unit
        Unit of the numbers.
    rate
        Lines per second [Hz], if a timer of the device sends them; None: irregular.
    longest
        Most characters of a line.
    encoding
        Encoding of the text.

    Examples
    --------
    >>> decoder = Lines(("x", "y")).decoder()
    >>> [reading] = decoder.feed(b"0\n1.5, -2\n3, 4\n5")
    >>> reading.data
    array([[ 1.5, -2. ],
           [ 3. ,  4. ]])
    """

    columns: tuple[str, ...] = ()
    separator: str = ","
    unit: str = ""
    rate: float | None = None
    longest: int = 200
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if not isinstance(self.columns, list | tuple):
            msg = f"Lines: columns must be names, e.g. ('x', 'y'), not {shown(self.columns)}"
            raise ParameterError(msg)
        object.__setattr__(self, "columns", tuple(self.columns))
        if "" in self.columns or any(self.columns.count(name) > 1 for name in self.columns):
            msg = f"Lines: columns must be names, each another, not {shown(self.columns)}"
            raise ParameterError(msg)
        if not isinstance(self.separator, str) or not self.separator:
            msg = f"Lines: separator must be a text, e.g. ',' or ' ', not {shown(self.separator)}"
            raise ParameterError(msg)
        if not is_whole(self.longest, 1):
            msg = f"Lines: longest must be a number of characters >= 1, not {shown(self.longest)}"
            raise ParameterError(msg)
        try:
            ends = "\n".encode(self.encoding)
        except (LookupError, TypeError):
            ends = b""
        if ends != b"\n":
            msg = (
                f"Lines: encoding must be one of text in which a line ends with one byte, e.g. "
                f"'utf-8' or 'latin-1', not {shown(self.encoding)}"
            )
            raise ParameterError(msg)
        _ = self.info

    @property
    def info(self) -> StreamInfo:
        """What the samples are."""
        if not self.columns:
            text = np.dtype(f"U{self.longest}")
            return StreamInfo("serial", self.rate, (), text, unit=self.unit)
        several = len(self.columns) > 1
        return StreamInfo(
            "serial", self.rate, (len(self.columns),) if several else (), np.dtype(float),
            unit=self.unit, channels=self.columns,
        )  # fmt: skip

    def decoder(self) -> "LineDecoder":
        """Return a decoder for an opening of the line."""
        return LineDecoder(self)


class LineDecoder:
    """Finds lines in bytes."""

    missing = 1

    def __init__(self, lines: Lines) -> None:
        self._lines, self._info = lines, lines.info
        self._decode = codecs.getdecoder(lines.encoding)
        self._separator = None if lines.separator.isspace() else lines.separator
        self._rest = b""
        self._whole = False  # whether the rest is a line from its beginning
        self._lost = 0

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; return the lines that are complete."""
        *texts, rest = (self._rest + data).split(b"\n")
        readings: list[Reading] = []
        good: list[Any] = []
        for text in texts:
            whole, self._whole = self._whole, True
            stripped = text.removesuffix(b"\r")
            if not whole or not stripped:
                continue
            try:
                value = self._value(stripped)
            except ValueError:
                self._finish(good, readings)
                good = []
                self._lost += 1
            else:
                good.append(value)
        self._finish(good, readings)
        self._rest = self._bounded(rest)
        return readings

    def _finish(self, values: list[Any], readings: list[Reading]) -> None:
        """Make a reading of lines without a bad one between them."""
        if values:
            data = np.array(values, self._info.dtype)
            readings.append(Reading(data, lost=self._lost or None))
            self._lost = 0

    def _bounded(self, rest: bytes) -> bytes:
        """Keep no more of a line without end than shows that it is too long."""
        return rest[: _CHARACTER * self._lines.longest + 1]

    def _value(self, line: bytes) -> Any:
        """Return the sample of a line; raise ValueError if it is none."""
        text, _ = self._decode(line)
        if len(text) > self._lines.longest:
            raise ValueError(text)
        columns = self._lines.columns
        if not columns:
            return text
        if "_" in text:
            raise ValueError(text)  # Python would take 1_0 for 10
        values = [float(part) for part in text.split(self._separator)]
        if len(values) != len(columns):
            raise ValueError(text)
        return values if len(values) > 1 else values[0]
