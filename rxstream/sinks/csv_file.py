"""csv: write samples as text, a row for each, for spreadsheets and pandas."""

import io
import os
from collections.abc import Iterable, Iterator
from csv import writer
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.sinks.file_sink import FileSink, FileWriter
from rxstream.sinks.output_file import OutputFile
from rxstream.validation import check_choice, check_flag

__all__ = ["csv"]

Gaps: TypeAlias = Literal["column", "comment"]

# more columns than this are an image, not a table
_MAX_COLUMNS = 4096
# in the column ``lost``: how many samples are missing is unknown
_UNKNOWN = -1


class csv(FileSink):  # noqa: N801 - used like a function
    """Write a row for each sample: its time, and a column for each channel or field.

    The first row has the names: ``time_ns`` (int, since the Unix epoch), then the stream's
    channels by their labels, or its name with the numbers, ``imu[0]``, ``grid[1][2]``. Structured
    samples have a column for each field, ``field[0]`` … where it is an array; bytes are written
    in hexadecimal digits in one column. Floats have all the digits they need to be read back as
    they were. Rows are on disk as they come: a program that is killed loses none that was written.
    It is text: for more than some 100 000 values a second use another sink.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced when the first chunk comes.
    iso
        Add a column ``time`` for people, ISO 8601 in UTC.
    gaps
        ``"column"``: a column ``lost`` has the number of samples lost right before each row, 0 as
        a rule, -1 if unknown; a gap after the last row is in ``sink.lost`` alone. ``"comment"``: a
        line that begins with ``#`` where samples are missing.
    delimiter
        Character between columns.
    rotate
        Begin a new file, with its own first row, after so much sample time [s], at least 1; the
        name of each has the time of its first row: ``a_20261129T215510-250Z.csv``. None: one file.
    keep
        Files of ``rotate`` to keep, older ones of these names are deleted; None: all.

    Raises
    ------
    ParameterError
        If there is no such folder, or an argument cannot work.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> path = Path(tempfile.mkdtemp(), "ramp.csv")
    >>> sink = csv(path)
    >>> device = Device(Simulated(rate=1000.0, shape=(2,), signal="ramp", dtype="i8",
    ...                           channels=("L", "R"), duration=0.02))
    >>> subscription = device.subscribe(sink)
    >>> with device:
    ...     sink.wait(10)
    True
    >>> lines = path.read_text().splitlines()
    >>> lines[0], len(lines)
    ('time_ns,lost,L,R', 21)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        iso: bool = False,
        gaps: Gaps = "column",
        delimiter: str = ",",
        rotate: Duration | None = None,
        keep: int | None = None,
    ) -> None:
        check_choice(gaps, Gaps, "gaps")
        if (
            not isinstance(delimiter, str)
            or len(delimiter) != 1
            or delimiter.isalnum()
            or (delimiter in '"\r\n#.+-')
        ):
            msg = f"delimiter must be one character that no value has in it, not {shown(delimiter)}"
            raise ParameterError(msg)
        super().__init__(path, rotate=rotate, keep=keep)
        check_flag(iso, f"{self.name}: iso")
        self._table = _Table(iso=iso, gaps=gaps, delimiter=delimiter)

    def open_file(self, path: Path, chunk: Chunk) -> FileWriter:
        """Open a file and write the names of the columns."""
        return _CsvFile(path, self._table, self._table.header(chunk, self.name))


class _CsvFile:
    """One open file."""

    def __init__(self, path: Path, table: "_Table", header: str) -> None:
        self._table = table
        self.samples = 0
        self._file = OutputFile(path)
        try:
            self._file.append(header.encode())
        except BaseException:
            self._file.close()
            raise

    def write(self, chunk: Chunk) -> None:
        """Write a row for each sample."""
        for text, rows in self._table.lines(chunk):
            # a surrogate that a text of a device may hold cannot be encoded
            self._file.append_lines(text.encode("utf-8", "backslashreplace"))
            self.samples += rows

    def flush(self) -> None:
        """See that the file is whole: rows are on disk when they have been written."""
        self._file.check_size()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Table:
    """Chunks as lines of text; knows from file to file what was lost."""

    def __init__(self, *, iso: bool, gaps: Gaps, delimiter: str) -> None:
        self._iso, self._gaps, self._delimiter = iso, gaps, delimiter
        # samples lost before the next row
        self._lost_before = 0

    def header(self, chunk: Chunk, name: str) -> str:
        """Return the line with the names of the columns."""
        info = chunk.info
        columns = _columns(info.name, chunk.data[:0], info.channels)
        names = [column for column, _ in islice(columns, _MAX_COLUMNS + 1)]
        if len(names) > _MAX_COLUMNS:
            msg = (
                f"{name}: samples of {info.name} {info.shape} {info.dtype} would be more "
                f"than {_MAX_COLUMNS} columns; images go to video()"
            )
            raise ChunkError(msg)
        ours = ["time_ns", *(["time"] if self._iso else [])]
        if self._gaps == "column":
            ours.append("lost")
        return self._text([[*ours, *(f"{n}_" if n in ours else n for n in names)]])

    def lines(self, chunk: Chunk) -> Iterator[tuple[str, int]]:
        """Yield text, and how many rows it is."""
        rows, done = list(self._rows(chunk)), 0
        for at, gap in chunk.gap_positions:
            yield from self._some(rows[done:at])
            yield from self._note(gap)
            done = at
        yield from self._some(rows[done:])

    def _some(self, rows: list[list[Any]]) -> Iterator[tuple[str, int]]:
        if not rows:
            return
        if self._gaps == "column" and self._lost_before:
            rows[0][1 + self._iso] = self._lost_before
            self._lost_before = 0
        yield self._text(rows), len(rows)

    def _note(self, gap: Gap) -> Iterator[tuple[str, int]]:
        if self._gaps == "comment":
            yield f"# {gap}, from {gap.start} to {gap.end}\n", 0
        elif gap.lost is None or self._lost_before == _UNKNOWN:
            self._lost_before = _UNKNOWN
        else:
            self._lost_before += gap.lost

    def _text(self, rows: list[list[Any]]) -> str:
        buffer = io.StringIO(newline="")
        writer(buffer, delimiter=self._delimiter, lineterminator="\n").writerows(rows)
        return buffer.getvalue()

    def _rows(self, chunk: Chunk) -> Iterator[list[Any]]:
        columns: list[Iterable[Any]] = [chunk.time.tolist()]
        if self._iso:
            stamps = chunk.time.astype("datetime64[ns]")
            columns.append(np.datetime_as_string(stamps, timezone="UTC").tolist())
        if self._gaps == "column":
            columns.append(repeat(0, len(chunk)))
        found = _columns(chunk.info.name, chunk.data, chunk.info.channels)
        columns += [_texts(values) for _, values in found]
        return map(list, zip(*columns, strict=True))


def _columns(
    name: str, data: NDArray[Any], channels: tuple[str, ...] = ()
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the name and values ``(n,)`` of each column of ``data`` ``(n, *shape)``."""
    if data.dtype.names:
        # at the top the field alone: the stream's name in every column would add nothing
        prefix = "" if data.ndim == 1 else f"{name}."
        yield from _fields(prefix, data)
        return
    labelled = len(channels) == data.shape[-1] and data.ndim > 1
    if data.ndim == 1:
        yield (channels[0] if len(channels) == 1 else name), data
        return
    for index in np.ndindex(data.shape[1:]):
        label = "".join(f"[{i}]" for i in index)
        if labelled:
            last = channels[index[-1]]
            label = f"{label[: label.rindex('[')]}[{last}]" if len(index) > 1 else ""
            yield (f"{name}{label}" if label else last), data[(slice(None), *index)]
        else:
            yield f"{name}{label}", data[(slice(None), *index)]


def _fields(prefix: str, data: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    if data.ndim > 1:
        for index in np.ndindex(data.shape[1:]):
            label = "".join(f"[{i}]" for i in index)
            yield from _fields(f"{prefix[:-1]}{label}.", data[(slice(None), *index)])
        return
    names = data.dtype.names or ()
    for field in names:
        values = data[field]
        if values.dtype.names:
            yield from _fields(f"{prefix}{field}.", values)
        elif values.dtype == np.uint8 and values.ndim == 2:
            # the bytes behind the length of a CAN message do not belong to it
            known = field == "data" and "dlc" in names
            yield f"{prefix}{field}", _hex(values, data["dlc"] if known else None)
        else:
            yield from _columns(f"{prefix}{field}", values)


def _hex(values: NDArray[np.uint8], lengths: NDArray[Any] | None) -> NDArray[np.str_]:
    counts = repeat(None) if lengths is None else lengths.tolist()
    texts = [row[:count].tobytes().hex() for row, count in zip(values, counts)]  # noqa: B905
    return np.array(texts, np.str_) if texts else np.empty(0, "U1")


def _texts(values: NDArray[Any]) -> list[Any]:
    """Return values that `csv.writer` writes with the fewest digits that read back the same."""
    found: list[Any]
    if values.dtype.kind in "mM" or (values.dtype.kind == "f" and values.dtype != np.float64):
        found = values.astype(np.str_).tolist()
    else:
        found = values.tolist()
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in found]
    return found
