"""WAV files whose head is true at every moment: RIFF, and RF64 from 4 GiB on.

The standard library's `wave` writes at most 4 GiB and no floats. libsndfile writes RF64, but its
head is brought up to date by commands that soundfile does not offer, and is then one that `wave`
does not read before Python 3.12. The layout, with a chunk kept free for lengths of 64 bits, is EBU
Tech 3306.
"""

import struct
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.formats.pcm import Encoding, encode
from rxstream.sinks.output_file import OutputFile

__all__ = ["RiffFile"]

# the largest length that a RIFF file can state [bytes]; in an RF64 file it stands for "see ds64"
_MAX_LENGTH = 0xFFFF_FFFF
# the length up to which a file is RIFF [bytes]; a variable for the tests alone
_MAX_RIFF = _MAX_LENGTH - 1
_PCM, _IEEE_FLOAT = 1, 3  # format tags


class RiffFile:
    """A WAV file to append to.

    Parameters
    ----------
    path
        Path of the file; an existing one is replaced.
    rate
        Samples per second [Hz].
    channels
        Number of channels.
    encoding
        How samples are stored.

    Raises
    ------
    ParameterError
        If a WAV file cannot state the rate or the number of channels.
    """

    def __init__(self, path: Path, rate: int, channels: int, encoding: Encoding) -> None:
        self._encoding, self._width = encoding, channels * encoding.width
        if not 1 <= rate <= _MAX_LENGTH // max(self._width, 1) or not 1 <= self._width < 1 << 16:
            msg = (
                f"{path}: a WAV file cannot have {channels} channels of {encoding.width} bytes at "
                f"{rate} Hz; write a csv, or select channels before"
            )
            raise ParameterError(msg)
        kind = struct.pack(
            "<HHIIHH", _IEEE_FLOAT if encoding.is_float else _PCM, channels, rate,
            rate * self._width, self._width, 8 * encoding.width,
        )  # fmt: skip
        # other formats than PCM state the length of what more they have to say
        self._format = kind + b"\0\0" if encoding.is_float else kind
        self._begin = len(self._head(0, 0))
        self._file = OutputFile(path)
        try:
            self._file.append(self._head(self._begin, 0))
        except BaseException:
            self._file.close()
            raise

    @property
    def frames(self) -> int:
        """Samples of all channels in the file."""
        return max(0, self._file.size - self._begin) // self._width

    def append(self, data: NDArray[Any]) -> None:
        """Append samples ``(n,)`` or ``(n, channels)``."""
        if data.size:
            self._file.append(encode(data, self._encoding).data)

    def flush(self) -> None:
        """State in the head what is in the file."""
        self._file.patch(0, self._head(self._file.size, self.frames * self._width))

    def close(self) -> None:
        """State the lengths and close."""
        try:
            # chunks begin at even positions
            if self._file.size % 2:
                self._file.append(b"\0")
            self.flush()
        finally:
            self._file.close()

    def _head(self, size: int, data: int) -> bytes:
        """Return the head of a file of ``size`` bytes, of which ``data`` are samples."""
        riff, frames = max(0, size - 8), data // self._width
        kind, lengths = b"RIFF", struct.pack("<4sI28x", b"JUNK", 28)
        if riff > _MAX_RIFF:
            kind, lengths = b"RF64", struct.pack("<4sIQQQI", b"ds64", 28, riff, data, frames, 0)
            riff = data = frames = _MAX_LENGTH
        head = struct.pack("<4sI4s", kind, riff, b"WAVE") + lengths
        head += struct.pack("<4sI", b"fmt ", len(self._format)) + self._format
        if self._encoding.is_float:
            head += struct.pack("<4sII", b"fact", 4, frames)
        return head + struct.pack("<4sI", b"data", data)
