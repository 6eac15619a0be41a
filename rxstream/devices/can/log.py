"""Reading a log file of CAN messages, many at a time."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Fail
from rxstream.acquisition.strays import MAX_RUN, fill_strays, find_strays
from rxstream.data.stream_info import Reading
from rxstream.devices.can.bus import forward_pieces
from rxstream.devices.can.filters import CanFilter, passed
from rxstream.devices.can.log_end import check_values, cut_off, is_whole
from rxstream.errors import (
    DeviceNotFoundError,
    EndOfStream,
    FormatError,
    MissingExtraError,
    OverrunError,
    ParameterError,
    StampError,
)
from rxstream.formats.can import pack
from rxstream.formats.can_decode import StreamDecoder
from rxstream.printable import error_line

__all__ = ["LOG_SUFFIXES", "LogReader", "is_log"]

LOG_SUFFIXES = (".asc", ".blf", ".csv", ".db", ".log", ".mf4", ".trc")
"""Suffixes of the log files that python-can reads; ``.gz`` may follow."""

# messages in a reading: few enough that closing does not wait for their parsing
_MAX_MESSAGES = 1024
# times within so much of the epoch [s] fit into int64 nanoseconds, and durations added to them
_MAX_SECONDS = 4.6e9
# length of the header of a BLF file [bytes], in python-can's FILE_HEADER_SIZE
_BLF_HEADER = 144


def is_log(channel: object) -> bool:
    """Whether a channel is the path of a log file."""
    if isinstance(channel, os.PathLike):
        return True
    if not isinstance(channel, str):
        return False
    suffixes = Path(channel.lower()).suffixes
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in LOG_SUFFIXES


class LogReader:
    """Reads messages from a log file until its end.

    Parameters
    ----------
    can
        The package python-can.
    path
        Path of the file.
    start
        Time of the first message [ns]; None: as in the log.
    filters, error_frames
        Which messages to take; see `passed`.
    decoder
        Decodes messages by a database; None: they stay as they are.
    fail
        Takes errors that the reader survives.
    """

    def __init__(
        self, can: Any, path: str, start: int | None, *,
        filters: Sequence[CanFilter], error_frames: bool,
        decoder: StreamDecoder | None, fail: Fail,
    ) -> None:  # fmt: skip
        self._can, self._path, self._start = can, path, start
        self._filters, self._error_frames = filters, error_frames
        self._decoder, self._fail = decoder, fail
        self._shift = 0
        self._held: list[Any] = []  # the last messages read: the next ones show if their times fit
        self._before: int | None = None  # newest time that is out [ns], as in the file
        self._strays = False  # whether wrong times were reported
        self._ready: deque[Reading] = deque()
        self._broken: Exception | None = None
        self._reader: Any = None
        self._messages: Iterator[Any] = iter(())
        self._count = 0
        # messages left out, for they have too few bytes
        self._short = 0
        self._read_first()

    def read(self) -> Reading:
        """Return the next messages.

        Raises
        ------
        EndOfStream
            At the end.
        FormatError
            If the log goes on with something else, or the database knows none of its messages.
        """
        while not self._ready:
            if self._broken is not None:
                raise self._broken
            self._fill()
        return self._ready.popleft()

    def release(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.stop()

    def _read_first(self) -> None:
        """Read the first message; a file that is no log fails here, when it is opened."""
        if not os.path.isfile(self._path):
            msg = f"can: there is no file {self._path!r}; give the path of a log"
            raise DeviceNotFoundError(msg)
        try:
            reader, messages = self._open()
            try:
                first = next(messages, None)
                if first is not None:
                    check_values(first)
            finally:
                reader.stop()
        except ValueError as error:
            if "No read support" not in str(error):
                raise self._bad(error) from error
            msg = (
                f"can: {self._path!r} has no suffix that python-can reads: "
                f"{', '.join(LOG_SUFFIXES)}, or one of these and .gz"
            )
            raise ParameterError(msg) from error
        except NotImplementedError as error:
            msg = f"can: {self._path!r}: {error} (for MF4: pip install asammdf)"
            raise MissingExtraError(msg) from error
        except Exception as error:
            raise self._bad(error) from error
        if first is None:
            msg = f"can: {self._path!r} holds no CAN message that python-can can read"
            raise FormatError(msg)

    def _open(self) -> tuple[Any, Iterator[Any]]:
        path = Path(self._path)
        # python-can would leave a file open that is no BLF
        if path.suffix.lower() == ".blf":
            with path.open("rb") as file:
                if len(header := file.read(_BLF_HEADER)) < _BLF_HEADER or header[:4] != b"LOGG":
                    msg = "it does not begin as a BLF does"
                    raise FormatError(msg)
        reader = self._can.LogReader(self._path)
        return reader, iter(reader)

    def _bad(self, error: Exception) -> FormatError:
        at = f"beyond message {self._count}" if self._count else "as a CAN log"
        shown = error if isinstance(error, FormatError) else error_line(error)
        return FormatError(f"can: {self._path!r} cannot be read {at}: {shown}")

    def _fill(self) -> None:
        """Read some messages; keep an error, or the end, until they are out."""
        messages, before = [*self._held], self._count
        try:
            # opened here: SQLite refuses to be used by another thread than the one that opened it
            if self._reader is None:
                self._reader, self._messages = self._open()
            for message in islice(self._messages, _MAX_MESSAGES):
                check_values(message)
                self._count += 1
                if is_whole(message):
                    messages.append(message)
                else:
                    self._short += 1
        except Exception as error:  # noqa: BLE001 - parsers raise what they like
            self._broken = self._bad(error)
        if self._count < before + _MAX_MESSAGES and self._broken is None:
            self._report_end()
            self._broken = EndOfStream(f"can: end of {self._path}")
        if messages:
            self._put(messages)
        if isinstance(self._broken, EndOfStream) and self._decoder is not None:
            try:
                self._decoder.check(ended=True)
            except FormatError as error:
                self._broken = error

    def _report_end(self) -> None:
        """Report what is missing at the end, and messages that were left out."""
        if text := cut_off(Path(self._path)):
            self._fail(OverrunError(f"can: {self._path}: {text}: it was cut off or is damaged"))
        if self._short:
            msg = (
                f"can: {self._path}: {self._short} messages have fewer bytes than their length "
                "says, and are left out"
            )
            self._fail(OverrunError(msg))

    def _put(self, messages: list[Any]) -> None:
        """Make readings of messages; the last of many wait for those after them."""
        times = self._times(messages)
        ready = len(messages) if self._broken is not None else max(0, len(messages) - MAX_RUN)
        self._held, messages, times = messages[ready:], messages[:ready], times[:ready]
        if not ready:
            return
        self._before = int(times[-1])
        data = pack(messages)
        times = times + self._shift
        keep = passed(data, self._filters, error_frames=self._error_frames)
        if not keep.all():
            data, times = data[keep], times[keep]
        if self._decoder is not None:
            data = self._decoder.decode(data)
        for part in forward_pieces(times) if len(times) else ():
            self._ready.append(Reading(data[part], device_time=times[part]))

    def _times(self, messages: list[Any]) -> NDArray[np.int64]:
        """Return times ``(n,)`` [ns], as in the file where they can be."""
        seconds = np.array([m.timestamp for m in messages], np.float64)
        beyond = ~(np.abs(seconds) < _MAX_SECONDS)
        times = np.rint(np.where(beyond, 0.0, seconds) * 1e9).astype(np.int64)
        strays, rest = beyond.copy(), np.flatnonzero(~beyond)
        strays[rest[find_strays(times[rest], self._before)]] = True
        if strays.any():
            times = fill_strays(times, strays, self._before, None, spread=True)
            if not self._strays:
                k = int(np.flatnonzero(strays)[0])
                number = self._count - len(messages) + k + 1
                self._fail(
                    StampError(
                        f"can: {self._path}: the time {seconds[k]:.6f} s of message {number} is "
                        "out of line with those around it; such messages are kept between their "
                        "neighbours"
                    )
                )
                self._strays = True
        if self._start is not None:
            self._shift, self._start = self._start - int(times[0]), None
        return times
