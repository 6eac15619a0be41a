"""FLAC files whose head is true at every moment, by soundfile."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.sinks.flac_frame import frames_of, numbered
from rxstream.sinks.output_file import OutputFile

__all__ = ["FlacFile"]

# Where the head states the number of samples, in the lower 36 of these 8 bytes.
_TOTAL_AT, _TOTAL_BITS = 18, 36
_FRAME = b"\xff"  # a frame begins with it, nothing in the head does


class FlacFile:
    """A FLAC file to append to.

    The encoder holds back a block of samples until it is full, which a stream that falls silent
    never makes it. So `flush` writes them as a shorter last block, which the full one replaces.

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
        If a FLAC file cannot have them.
    """

    def __init__(self, soundfile: Any, path: Path, rate: int, channels: int, subtype: str) -> None:
        self._soundfile = soundfile
        self._format = rate, channels, subtype
        self._output = _Output(path)
        # samples that the encoder has taken, and the last of them, which it may hold back
        self._taken = 0
        self._held: NDArray[Any] | None = None
        try:
            self._sound = soundfile.SoundFile(
                self._output, "w", rate, channels, subtype, format="FLAC"
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
        data = np.ascontiguousarray(data)
        self._call(self._sound.write, data)
        self._taken += len(data)
        held = self._taken - self._output.encoded
        if held > len(data) and self._held is not None:
            data = np.concatenate([self._held, data])
        self._held = data[len(data) - held :].copy()

    def flush(self) -> None:
        """Write what the encoder holds back as a last block for the time being."""
        held = self._held
        if held is None or not len(held) or self._output.total == self._taken:
            return
        file = io.BytesIO()
        with self._soundfile.SoundFile(file, "w", *self._format, format="FLAC") as sound:
            sound.write(held)
        self._output.set_tail(numbered(frames_of(file.getvalue()), self._output.blocks), len(held))

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
        self.blocks = 0
        """Blocks that the encoder has written."""
        self.encoded = 0
        """Samples in them."""
        self.total = 0
        """Samples that a reader gets."""
        self._position = 0
        self._owner = os.getpid()
        self._head = b""
        # the last block for the time being
        self._tail = b""

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

    def set_tail(self, frame: bytes, samples: int) -> None:
        """Put a last block behind those of the encoder, until that writes the next one.

        Raises
        ------
        OSError
            If there is no room for it: then the one before is there again.
        """
        try:
            self.file.replace_end(self._tail, frame)
            self._tail = frame
            self._state(self.encoded + samples)
        except OSError as error:
            self.error = error
            raise

    def _write(self, piece: bytes) -> None:
        if self._position < self._end:
            self.file.patch(self._position, piece)
            return
        self.file.replace_end(self._tail, piece)
        self._tail = b""
        if not piece.startswith(_FRAME):
            self._head += piece
            return
        # the last block, which comes at the end, is shorter: libFLAC states the total then
        self.blocks += 1
        self.encoded = self.blocks * int.from_bytes(self._head[8:10], "big")
        self._state(self.encoded)

    def _state(self, total: int) -> None:
        """State in the head how many samples there are."""
        known = int.from_bytes(self._head[_TOTAL_AT : _TOTAL_AT + 8], "big")
        stated = (known >> _TOTAL_BITS << _TOTAL_BITS) + total
        self.file.patch(_TOTAL_AT, stated.to_bytes(8, "big"))
        self.total = total

    @property
    def _end(self) -> int:
        """Where what the encoder has written ends."""
        return self.file.size - len(self._tail)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        base = (0, self._position, self._end)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, _size: int = -1) -> bytes:
        """Return nothing: it is written only."""
        return b""
