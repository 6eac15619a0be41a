"""wav: write sound to a WAV or FLAC file."""

import os
from typing import Any, Literal, TypeAlias

import numpy as np

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.errors import ChunkError, ParameterError
from rxstream.optional import import_optional
from rxstream.sinks.base import Sink
from rxstream.sinks.paths import path_to_write
from rxstream.validation import check_choice

__all__ = ["wav"]

Gaps: TypeAlias = Literal["fill", "skip"]

# subtypes of libsndfile that keep every bit, by dtype
_SUBTYPES = {"int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT", "float64": "DOUBLE"}
# and those of FLAC, which has no floating point and at most 24 bits
_FLAC = {"int16": "PCM_16", "int32": "PCM_24", "float32": "PCM_24", "float64": "PCM_24"}


class wav(Sink):  # noqa: N801 - used like a function
    """Write sound to a WAV or FLAC file, exactly as it came.

    The file is opened with the first chunk and complete when the stream ends or the sink is closed.

    Parameters
    ----------
    path
        Path that ends with ``.wav`` or ``.flac``; an existing file is replaced.
    subtype
        Subtype of the file by soundfile's name, e.g. ``"PCM_24"``; None: that of the samples,
        which in a WAV file keeps every bit. FLAC has no floating point: it takes 24 bits.
    gaps
        ``"fill"``: silence where samples were lost, so that the file keeps its time (`filled`
        counts it); ``"skip"``: nothing. Either way `lost` counts them.

    Raises
    ------
    ParameterError
        If the path or ``gaps`` is invalid; with the first chunk, if the file cannot have its rate,
        channels or ``subtype``.
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
    (True, 720)
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        subtype: str | None = None,
        gaps: Gaps = "fill",
    ) -> None:
        check_choice(gaps, Gaps, "gaps")
        self.path = path_to_write(path, ".wav", ".flac")
        super().__init__(str(self.path))
        self._subtype, self._fill = subtype, gaps == "fill"
        self._file: Any = None
        self._rate = 0
        self.filled = 0
        """Samples of silence written where samples were lost."""

    def start(self, chunk: Chunk) -> None:
        """Open the file."""
        info = chunk.info
        if info.rate is None or len(info.shape) > 1 or str(info.dtype) not in _SUBTYPES:
            msg = (
                f"{self.name}: {info.name} is {info.shape} {info.dtype} at rate {info.rate}; a "
                f"sound file takes regular samples () or (channels,) of {', '.join(_SUBTYPES)}"
            )
            raise ChunkError(msg)
        sf = import_optional("soundfile", extra="audio")
        flac = self.path.suffix.lower() == ".flac"
        subtype = self._subtype or (_FLAC if flac else _SUBTYPES)[str(info.dtype)]
        channels = info.shape[0] if info.shape else 1
        self._rate = round(info.rate)
        try:
            self._file = sf.SoundFile(self.path, "w", self._rate, channels, subtype)
        except (ValueError, RuntimeError) as error:
            # LibsndfileError is a RuntimeError
            msg = (
                f"{self.name}: cannot write {channels} channels at {self._rate} Hz as "
                f"{subtype}: {error}"
            )
            raise ParameterError(msg) from error

    def write(self, chunk: Chunk) -> None:
        """Write the samples, and silence for those lost."""
        done = 0
        for at, gap in chunk.gap_positions:
            self._put(chunk, done, at)
            if self._fill:
                self._silence(chunk, gap)
            done = at
        self._put(chunk, done, len(chunk))

    def finish(self) -> None:
        """Close the file; its header is complete."""
        if self._file is not None:
            self._file.close()

    def _put(self, chunk: Chunk, i: int, j: int) -> None:
        if j > i:
            # soundfile takes contiguous rows only; a selection of channels has none
            self._file.write(np.ascontiguousarray(chunk.data[i:j]))

    def _silence(self, chunk: Chunk, gap: Gap) -> None:
        left = gap.lost if gap.lost is not None else round(gap.duration * self._rate)
        self.filled += left
        # second by second: an hour of silence would not fit into memory
        while left > 0:
            n = min(left, self._rate)
            self._file.write(np.zeros((n, *chunk.info.shape), chunk.info.dtype))
            left -= n
