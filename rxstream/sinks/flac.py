"""FLAC files whose head is true at every moment, by soundfile."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.sinks.output_file import OutputFile

__all__ = ["FlacFile"]

# The encoder holds back a block, and one sample more. libFLAC's blocks by level of compression:
_BLOCK, _SMALL_BLOCK = 4096, 1152
# How much sound a kill may cost [s].
_MAX_HELD = 0.8
# Where the head states the number of samples, in the lower 36 of these 8 bytes.
_TOTAL_AT, _TOTAL_BITS = 18, 36
_STREAMINFO = slice(8, 42)
_FRAME = b"\xff"  # a frame begins with it, nothing in the head does


class FlacFile:
    """A FLAC file to append to.

    Parameters
    ----------
    soundfile
        The module.
    path
        Path of the file; an existing one is replaced.
    rate
        Samples per second [Hz].
    channels
        Number of channels.
    subtype
        soundfile's name of the encoding.

    Raises
    ------
    ParameterError
        If a FLAC file cannot have them, or a kill would cost more than a second.
    """

    def __init__(self, soundfile: Any, path: Path, rate: int, channels: int, subtype: str) -> None:
        if (_SMALL_BLOCK + 1) / max(rate, 1) > _MAX_HELD:
            msg = (
                f"{path}: a FLAC encoder holds back {_SMALL_BLOCK} samples, "
                f"{_SMALL_BLOCK / max(rate, 1):.3g} s at {rate} Hz, which are lost if the program "
                "is killed; write a .wav"
            )
            raise ParameterError(msg)
        level = {} if (_BLOCK + 1) / rate <= _MAX_HELD else {"compression_level": 0.0}
        self._output = _Output(path)
        try:
            self._sound = soundfile.SoundFile(
                self._output, "w", rate, channels, subtype, format="FLAC", **level
            )
        except (ValueError, RuntimeError) as error:
            self._output.file.close()
            if self._output.error is not None:
                raise self._output.error from None
            msg = f"{path}: cannot write {channels} channels at {rate} Hz as {subtype}: {error}"
            raise ParameterError(msg) from error

    @property
    def frames(self) -> int:
        """Samples of all channels that a reader gets."""
        return self._output.total

    def append(self, data: NDArray[Any]) -> None:
        """Append samples ``(n,)`` or ``(n, channels)``."""
        self._call(self._sound.write, np.ascontiguousarray(data))

    def flush(self) -> None:
        """Do nothing: the head is up to date after each block."""

    def close(self) -> None:
        """Write the last block and close."""
        broken = self._output.error is not None
        try:
            self._call(self._sound.close)
        except OSError:
            # after an error there is nothing more to write
            if not broken:
                raise
        finally:
            self._output.file.close()

    def _call(self, function: Any, *arguments: Any) -> None:
        """Call libsndfile; raise what our own file has raised, which it knows by a number only."""
        try:
            function(*arguments)
        except Exception:
            # soundfile raises its own errors, or asserts that all was written
            if self._output.error is None:
                raise
        if self._output.error is not None:
            raise self._output.error


class _Output:
    """What libsndfile writes to: it calls these from C, where no exception may pass."""

    def __init__(self, path: Path) -> None:
        self.file = OutputFile(path)
        self.error: Exception | None = None
        self.total = 0
        self._position = 0
        self._owner = os.getpid()
        self._head = b""
        self._blocks = 0

    def write(self, data: Any) -> int:
        """Write a frame, or a part of the head."""
        piece = bytes(data)
        # a forked child that ends closes what it has inherited, into the file of its parent
        if os.getpid() != self._owner:
            return len(piece)
        if self.error is None:
            try:
                self._write(piece)
            except Exception as error:  # noqa: BLE001 - raised when C has returned
                self.error = error
        if self.error is not None:
            return 0
        self._position += len(piece)
        return len(piece)

    def _write(self, piece: bytes) -> None:
        if self._position < self.file.size:
            self.file.patch(self._position, piece)
            return
        self.file.append(piece)
        if not piece.startswith(_FRAME):
            self._head += piece
            return
        # the last block, which comes at the end, is shorter: libFLAC states the total then
        self._blocks += 1
        self.total = self._blocks * int.from_bytes(self._head[8:10], "big")
        known = int.from_bytes(self._head[_TOTAL_AT : _TOTAL_AT + 8], "big")
        stated = (known >> _TOTAL_BITS << _TOTAL_BITS) + self.total
        self.file.patch(_TOTAL_AT, stated.to_bytes(8, "big"))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        base = (0, self._position, self.file.size)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, _size: int = -1) -> bytes:
        """Return nothing: it is written only."""
        return b""
