"""Rows in the bodies of requests, as readings; what is no sample is refused with its number."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rxstream.authoring.fitting import fit
from rxstream.authoring.samples import Samples
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.http.events import LineReader
from rxstream.devices.ingest.raw import Raw
from rxstream.devices.ingest.refusal import Refusal
from rxstream.devices.messages import Json, Text
from rxstream.errors import ChunkError
from rxstream.printable import error_line, shown

__all__ = ["CONTENT_TYPES", "JSON_LINES", "BodyReader", "RowReader", "json_reader", "row_reader"]

JSON_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
"""Content types of JSON with a row in each line."""

CONTENT_TYPES: dict[type, tuple[str, ...]] = {
    Raw: ("application/octet-stream",),
    Text: ("text/plain",),
    Json: ("application/json", *JSON_LINES),
}
"""Content types of bodies that a format can be in."""

_BAD_ROW = (ValueError, ChunkError, OverflowError, RecursionError)


class BodyReader(Protocol):
    """Makes readings of one body; raises Refusal for a row that is no sample."""

    def whole(self, data: bytes) -> Reading | None:
        """Return the rows of a whole body; None if it has none."""
        ...


class RowReader(BodyReader, Protocol):
    """Makes readings of a body that goes on, too."""

    def feed(self, data: bytes) -> Reading | None:
        """Take bytes of a body that goes on; return the rows that are complete."""
        ...

    def rest(self) -> Reading | None:
        """Return what the end of such a body makes complete."""
        ...


def row_reader(
    form: Json | Text | Raw, info: StreamInfo, stamp: int | None, longest: int
) -> RowReader:
    """Return a reader of a body of rows.

    Parameters
    ----------
    form
        What its rows are.
    info
        Description of the stream.
    stamp
        Stamp of its first sample [ns]; None: none, or each has its own.
    longest
        Most bytes of a row.
    """
    if isinstance(form, Raw):
        return _RawRows(form, info, stamp)
    return _LineRows(form, info, longest)


def json_reader(form: Json | Text, info: StreamInfo) -> BodyReader:
    """Return a reader of a body that is one JSON text: a row, or a list of some."""
    return _JsonRows(form, info)


def _refused(row: int, why: str) -> Refusal:
    return Refusal(400, f"row {row}: {why}", row=row)


def _find_bad(before: int, rows: Iterable[Any], take: Callable[[Any], object]) -> None:
    """Raise Refusal for the first row that cannot be taken, of those after so many."""
    for number, row in enumerate(rows, before + 1):
        try:
            take(row)
        except _BAD_ROW as error:
            raise _refused(number, _why(error, row)) from None


# What Python's types are without a word in fields of these kinds.
_PLAIN: dict[str, set[type]] = {
    "i": {int}, "u": {int}, "f": {int, float}, "U": {str}, "b": {bool},
}  # fmt: skip


def _of_columns(rows: list[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return rows of fields as samples ``(n,)``, ten times as fast as one by one.

    None if that is not sure to be the same; then one by one they show what is wrong.
    """
    names = dtype.names or ()
    if not names or not all(type(row) is tuple and len(row) == len(names) for row in rows):
        return None
    out = np.empty(len(rows), dtype)
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        if not set(map(type, column)) <= _PLAIN.get(dtype[name].kind, set()):
            return None
        try:
            out[name] = fit(column, dtype[name])
        except ValueError:
            return None
    return out


class _RawRows:
    def __init__(self, form: Raw, info: StreamInfo, stamp: int | None) -> None:
        self._form, self._stamp, self._size = form, stamp, info.sample_bytes
        self._rest = b""
        self._row = 0

    def whole(self, data: bytes) -> Reading | None:
        reading = self.feed(data)
        self.rest()
        return reading

    def feed(self, data: bytes) -> Reading | None:
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        if not whole:
            return None
        samples = self._form.samples(data[:whole])
        try:
            stamps = self._form.stamps(samples)
        except ValueError:
            ones = [samples[k : k + 1] for k in range(len(samples))]
            _find_bad(self._row, ones, self._form.stamps)
            raise
        self._row += len(samples)
        # of the first sample alone: the next ones follow at the rate
        stamp, self._stamp = self._stamp, None
        return Reading(samples, device_time=stamp if stamps is None else stamps)

    def rest(self) -> Reading | None:
        if self._rest:
            msg = (
                f"the body ends within a sample: {len(self._rest)} bytes are left over of "
                f"{self._size}; send samples of {self._form.dtype}, shape {self._form.shape}"
            )
            raise Refusal(400, msg, row=self._row + 1)
        return None


class _TextRows:
    """Rows that a format finds in texts."""

    def __init__(self, form: Json | Text, info: StreamInfo) -> None:
        self._form, self._samples = form, Samples(info)
        self._row = 0

    def _reading(self, texts: Iterable[bytes]) -> Reading | None:
        """Return the samples of texts, of which each is a row, or a list of some."""
        values: list[tuple[Any, int | None]] = []
        for text in texts:
            values += self._values(text)
        if not values:
            return None
        rows = [value for value, _ in values]
        try:
            data = _of_columns(rows, self._samples.info.dtype)
            if data is None:
                data = self._samples.reading(rows).data
        except _BAD_ROW:
            _find_bad(self._row, rows, self._take)
            raise
        self._row += len(rows)
        stamps = [stamp for _, stamp in values if stamp is not None]
        return Reading(data, device_time=np.array(stamps, np.int64) if stamps else None)

    def _values(self, text: bytes) -> list[tuple[Any, int | None]]:
        raise NotImplementedError

    def _take(self, row: Any) -> None:
        # alone a tuple might be a sample with its stamp
        self._samples.reading([row] if isinstance(row, tuple) else row)


class _LineRows(_TextRows):
    """A row in each line."""

    def __init__(self, form: Json | Text, info: StreamInfo, longest: int) -> None:
        super().__init__(form, info)
        self._lines, self._longest = LineReader(longest), longest
        self._line = 0

    def whole(self, data: bytes) -> Reading | None:
        return self.feed(data if data.endswith(b"\n") else data + b"\n")

    def feed(self, data: bytes) -> Reading | None:
        try:
            lines = self._lines.feed(data)
        except ConnectionError:
            msg = f"row {self._line + 1} is longer than max_bytes={self._longest}; end rows by \\n"
            raise Refusal(413, msg, row=self._line + 1) from None
        return self._reading(lines)

    def rest(self) -> Reading | None:
        return self._reading(self._lines.rest())

    def _values(self, text: bytes) -> list[tuple[Any, int | None]]:
        self._line += 1
        try:
            return self._form.values(text.decode())
        except _BAD_ROW as error:
            raise _refused(self._line, _why(error, text)) from None


class _JsonRows(_TextRows):
    """One JSON text: a row, or a list of some."""

    def whole(self, data: bytes) -> Reading | None:
        return self._reading([data])

    def _values(self, text: bytes) -> list[tuple[Any, int | None]]:
        try:
            return self._form.values(text.decode())
        except _BAD_ROW as error:
            _find_bad(self._row, _rows(text), lambda row: self._form.values(json.dumps([row])))
            raise Refusal(400, error_line(error)) from None


def _rows(text: bytes) -> list[Any]:
    """Return the rows of a JSON text; raise Refusal if it is none."""
    try:
        given = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        msg = f"the body is no JSON ({error_line(error)})"
        raise Refusal(400, msg) from None
    return given if isinstance(given, list) else [given]


def _why(error: BaseException, row: object) -> str:
    """Return what is wrong with a row."""
    if isinstance(error, ChunkError):
        return str(error).partition(": ")[2]
    if isinstance(error, json.JSONDecodeError):
        return f"{shown(row)} is no JSON ({error})"
    if isinstance(error, UnicodeDecodeError):
        return f"{shown(row)} is not UTF-8 ({error})"
    return str(error) if isinstance(error, ValueError) else error_line(error)
