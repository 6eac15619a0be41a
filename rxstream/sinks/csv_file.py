"""csv: write samples as text, a row for each, for spreadsheets and pandas."""

import os
from collections.abc import Iterable, Iterator
from csv import writer
from itertools import islice, repeat
from typing import IO, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, ParameterError
from rxstream.sinks.base import Sink
from rxstream.sinks.paths import path_to_write
from rxstream.validation import check_choice

__all__ = ["csv"]

Gaps: TypeAlias = Literal["column", "comment"]

# more columns than this are an image, not a table
_MAX_COLUMNS = 4096
# in the column ``lost``: how many samples are missing is unknown
_UNKNOWN = -1


class csv(Sink):  # noqa: N801 - used like a function
    """Write a row for each sample: its time, and a column for each channel or field.

    The first row has the names: ``time_ns`` (int, since the Unix epoch), then the stream's
    channels by their labels, or its name with the numbers, ``imu[0]``, ``grid[1][2]``. Structured
    samples have a column for each field, ``field[0]`` … where it is an array; bytes are written
    in hexadecimal digits in one column. Floats have all the digits they need to be read back as
    they were. It is text: for more than some 100 000 values a second use another sink.

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
    ('time_ns,lost,L,R', 11)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        iso: bool = False,
        gaps: Gaps = "column",
        delimiter: str = ",",
    ) -> None:
        check_choice(gaps, Gaps, "gaps")
        if (
            not isinstance(delimiter, str)
            or len(delimiter) != 1
            or delimiter.isalnum()
            or (delimiter in '"\r\n#.+-')
        ):
            msg = f"delimiter must be one character that no value has in it, not {delimiter!r}"
            raise ParameterError(msg)
        self.path = path_to_write(path)
        super().__init__(str(self.path))
        self._iso, self._gaps, self._delimiter = iso, gaps, delimiter
        self._file: IO[str] | None = None
        self._writer: Any = None
        # samples lost before the next row
        self._lost_before = 0

    def start(self, chunk: Chunk) -> None:
        """Open the file and write the names of the columns."""
        info = chunk.info
        columns = _columns(info.name, chunk.data[:0], info.channels)
        names = [name for name, _ in islice(columns, _MAX_COLUMNS + 1)]
        if len(names) > _MAX_COLUMNS:
            msg = (
                f"{self.name}: samples of {info.name} {info.shape} {info.dtype} would be more "
                f"than {_MAX_COLUMNS} columns; images go to video()"
            )
            raise ChunkError(msg)
        ours = ["time_ns", *(["time"] if self._iso else [])]
        if self._gaps == "column":
            ours.append("lost")
        self._file = self.path.open("w", newline="", encoding="utf-8")
        self._writer = writer(self._file, delimiter=self._delimiter, lineterminator="\n")
        self._writer.writerow([*ours, *(f"{n}_" if n in ours else n for n in names)])

    def write(self, chunk: Chunk) -> None:
        """Write a row for each sample."""
        rows, done = list(self._rows(chunk)), 0
        for at, gap in chunk.gap_positions:
            self._put(rows[done:at])
            self._note(gap)
            done = at
        self._put(rows[done:])

    def finish(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

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

    def _put(self, rows: list[list[Any]]) -> None:
        if self._gaps == "column" and self._lost_before and rows:
            rows[0][1 + self._iso] = self._lost_before
            self._lost_before = 0
        self._writer.writerows(rows)

    def _note(self, gap: Gap) -> None:
        if self._gaps == "comment" and self._file is not None:
            self._file.write(f"# {gap}, from {gap.start} to {gap.end}\n")
        elif gap.lost is None or self._lost_before == _UNKNOWN:
            self._lost_before = _UNKNOWN
        else:
            self._lost_before += gap.lost


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
