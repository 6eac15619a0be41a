"""wav: write sound to a WAV or FLAC file."""

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.formats.pcm import ENCODINGS
from rxstream.optional import import_optional
from rxstream.printable import get_logger, shown
from rxstream.sinks.file_sink import FileSink, FileWriter
from rxstream.sinks.flac import FlacFile
from rxstream.sinks.riff import RiffFile
from rxstream.validation import check_choice

__all__ = ["wav"]

_logger = get_logger(__name__)

Gaps: TypeAlias = Literal["fill", "skip"]

# the longest gap that is filled with silence [s]: one of hours would fill the disk
_MAX_SILENCE = 60.0
# how often what was written is made readable while silence is written [s]
_FLUSH_INTERVAL = 0.5

# encodings that keep every bit, by dtype
_SUBTYPES = {"int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT", "float64": "DOUBLE"}
# and those of FLAC, which has no floating point and at most 24 bits
_FLAC = {"int16": "PCM_16", "int32": "PCM_24", "float32": "PCM_24", "float64": "PCM_24"}


class wav(FileSink):  # noqa: N801 - used like a function
    """Write sound to a WAV or FLAC file, exactly as it came.

    The file is opened with the first chunk and complete when the stream ends or the sink is closed.
    If the program is killed, all but the last second is in it and can be read. From 4 GiB on a WAV
    file is RF64, which has lengths of 64 bits; up to then the standard library's ``wave`` reads it
    too, if its samples are integers. FLAC needs soundfile (``rxstream[audio]``).

    Parameters
    ----------
    path
        Path that ends with ``.wav`` or ``.flac``; an existing file is replaced.
    subtype
        ``"PCM_16"``, ``"PCM_24"``, ``"PCM_32"``, ``"FLOAT"`` or ``"DOUBLE"``; None: that of the
        samples, which in a WAV file keeps every bit. FLAC has the first two only, and takes 24 bits
        for what has more. Floats of more than ±1 are clipped in integers.
    gaps
        ``"fill"``: silence where samples were lost, so that the file keeps its time (`filled`
        counts it). A gap of more than 60 s, e.g. of a machine that slept, ends the file, and what
        follows it is in a new one, whose name has the time of its first sample as with ``rotate``;
        it is logged. ``"skip"``: nothing. Either way `lost` counts them.
    rotate
        Begin a new file after so much sample time [s], at least 1; the name of each has the time of
        its first sample: ``a_20261129T215510-250Z.wav``. The files have all samples, one after the
        other. None: one file.
    keep
        Files of ``rotate`` to keep, older ones of these names are deleted; None: all.

    Raises
    ------
    ParameterError
        If an argument is invalid; with the first chunk, if the file cannot have its rate or
        channels.
    MissingExtraError
        If soundfile, which FLAC needs, is not installed.
    ChunkError
        With the first chunk, if the stream is no sound: irregular, or of another dtype.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> folder = tempfile.TemporaryDirectory()
    >>> device = Device(Simulated(rate=8000.0, duration=0.1))
    >>> sink = wav(Path(folder.name) / "a.wav")
    >>> subscription = device.subscribe(sink)
    >>> with device:
    ...     sink.wait(10), sink.samples
    (True, 800)
    >>> folder.cleanup()
    """

    suffixes: ClassVar[tuple[str, ...]] = (".wav", ".flac")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        subtype: str | None = None,
        gaps: Gaps = "fill",
        rotate: Duration | None = None,
        keep: int | None = None,
    ) -> None:
        check_choice(gaps, Gaps, "gaps")
        self._fill = gaps == "fill"
        super().__init__(path, rotate=rotate, keep=keep, fills_gaps=self._fill)
        flac = self.path.suffix.lower() == ".flac"
        possible = sorted({*_FLAC.values()} if flac else ENCODINGS)
        if subtype is not None and not (isinstance(subtype, str) and subtype in possible):
            msg = f"subtype must be one of {', '.join(possible)}, not {shown(subtype)}"
            raise ParameterError(msg)
        self._subtype = subtype
        # now, and not with the first chunk
        self._soundfile = import_optional("soundfile", extra="audio") if flac else None
        self._filled = 0
        self._writer: _SoundWriter | None = None

    @property
    def filled(self) -> int:
        """Samples of silence written where samples were lost."""
        return self._filled + (0 if self._writer is None else self._writer.filled)

    def start(self, chunk: Chunk) -> None:
        """Open the first file."""
        super().start(next(self._parts(chunk)))

    def write(self, chunk: Chunk) -> None:
        """Write a chunk; what follows a long gap, to a new file."""
        for number, part in enumerate(self._parts(chunk)):
            if number:
                self.begin_file()
            super().write(part)

    def _parts(self, chunk: Chunk) -> Iterator[Chunk]:
        """Yield a chunk in parts without gaps that are too long to fill, which are between them."""
        if not self._fill or not any(self._is_long(gap, chunk) for gap in chunk.gaps):
            yield chunk
            return
        done = 0
        for at, gap in chunk.gap_positions:
            if self._is_long(gap, chunk):
                # nothing ends where nothing has begun
                if at > done or self.samples + self.filled:
                    yield self._without_long_gaps(chunk[done:at])
                _logger.warning(
                    "%s: not filled with silence: %s; what follows is in a file of its own",
                    self.name, gap,
                )  # fmt: skip
                done = at
        yield self._without_long_gaps(chunk[done:])

    def _without_long_gaps(self, part: Chunk) -> Chunk:
        gaps = tuple(at for at in part.gap_positions if not self._is_long(at.gap, part))
        return Chunk(part.data, part.axis, part.start, part.end, part.index, part.info, gaps)

    @staticmethod
    def _is_long(gap: Gap, chunk: Chunk) -> bool:
        rate = chunk.rate or 0.0
        return gap.duration > _MAX_SILENCE or (gap.lost or 0) > _MAX_SILENCE * rate

    def open_file(self, path: Path, chunk: Chunk) -> FileWriter:
        """Open a file."""
        info = chunk.info
        if info.rate is None or len(info.shape) > 1 or str(info.dtype) not in _SUBTYPES:
            msg = (
                f"{self.name}: {info.name} is {info.shape} {info.dtype} at rate {info.rate}; a "
                f"sound file takes regular samples () or (channels,) of {', '.join(_SUBTYPES)}"
            )
            raise ChunkError(msg)
        channels = info.shape[0] if info.shape else 1
        rate = round(info.rate)
        file: _SoundFile
        if self._soundfile is not None:
            subtype = self._subtype or _FLAC[str(info.dtype)]
            file = FlacFile(self._soundfile, path, rate, channels, subtype)
        else:
            subtype = self._subtype or _SUBTYPES[str(info.dtype)]
            file = RiffFile(path, rate, channels, ENCODINGS[subtype])
        self._filled, self._writer = self.filled, _SoundWriter(file, info, rate, fill=self._fill)
        return self._writer


class _SoundFile(Protocol):
    """One open file of sound."""

    @property
    def frames(self) -> int:
        """Samples of all channels that a reader gets."""
        ...

    def append(self, data: NDArray[Any]) -> None:
        """Append samples ``(n,)`` or ``(n, channels)``."""
        ...

    def flush(self) -> None:
        """Make what was written readable."""
        ...

    def close(self) -> None:
        """Complete it."""
        ...


class _SoundWriter:
    """Writes chunks to a file of sound, with silence for gaps, and counts both."""

    def __init__(self, file: _SoundFile, info: StreamInfo, rate: int, *, fill: bool) -> None:
        self._file, self._info, self._rate, self._fill = file, info, rate, fill
        self._samples = self.filled = 0
        # After what was appended lately: samples and silence, and samples alone. An encoder holds
        # some back, and with an error they are lost.
        self._marks: deque[tuple[int, int]] = deque([(0, 0)])
        self._failed = False

    @property
    def samples(self) -> int:
        """Samples written, without silence; after an error those that a reader gets."""
        return self._readable() if self._failed else self._samples

    def write(self, chunk: Chunk) -> None:
        """Write the samples, and silence for those lost."""
        done = 0
        for at, gap in chunk.gap_positions:
            self._append(chunk.data[done:at], silent=False)
            if self._fill:
                self._silence(gap)
            done = at
        self._append(chunk.data[done:], silent=False)

    def flush(self) -> None:
        """Make what was written readable."""
        try:
            self._file.flush()
        except BaseException:
            self._failed = True
            raise

    def close(self) -> None:
        """Complete the file."""
        try:
            self._file.close()
        except BaseException:
            self._failed = True
            raise

    def _append(self, data: NDArray[Any], *, silent: bool) -> None:
        if not len(data):
            return
        try:
            self._file.append(data)
        except BaseException:
            self._failed = True
            raise
        finally:
            frames, samples = self._marks[-1]
            self._marks.append((frames + len(data), samples + len(data) * (not silent)))
            while len(self._marks) > 1 and self._marks[1][0] <= self._file.frames:
                self._marks.popleft()
        if silent:
            self.filled += len(data)
        else:
            self._samples += len(data)

    def _readable(self) -> int:
        """Return how many samples are in what a reader gets of the file."""
        begin, before = self._marks[0]
        after = self._marks[1][1] if len(self._marks) > 1 else before
        return before + min(after - before, self._file.frames - begin)

    def _silence(self, gap: Gap) -> None:
        left = gap.lost if gap.lost is not None else round(gap.duration * self._rate)
        flushed = time.monotonic()
        # second by second: a minute of silence would take much memory
        while left > 0:
            n = min(left, self._rate)
            self._append(np.zeros((n, *self._info.shape), self._info.dtype), silent=True)
            left -= n
            # a slow disk takes long for all of it
            if time.monotonic() - flushed > _FLUSH_INTERVAL:
                self.flush()
                flushed = time.monotonic()
