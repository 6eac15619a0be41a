"""mediasound: the sound of a file or a URL through PyAV (``pip install 'rxstream[video]'``)."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from rxstream.acquisition.driver import DriverCall
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Time, now_ns, to_ns, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.camera.locations import check_file, kind_of, no_stream, shown
from rxstream.devices.media_sound.inputs import Block, SoundInput, open_sound
from rxstream.devices.media_sound.reader import SoundReader
from rxstream.errors import DeviceLostError, FormatError, ParameterError
from rxstream.formats.pcm import ENCODINGS
from rxstream.optional import import_optional
from rxstream.validation import check_choice, is_whole

__all__ = ["MediaSound"]

Format: TypeAlias = Literal["int16", "int32", "float32"]
Pace: TypeAlias = Literal["live", "max"]

# How often who waits looks whether it is open [s].
_LOOK = 0.1

_ENCODINGS = {"int16": "PCM_16", "int32": "PCM_32", "float32": "FLOAT"}


@dataclass(frozen=True, slots=True)
class MediaSound:
    """The sound of a file (WAV, FLAC, MP3, a film …) or of a URL (web radio, RTSP).

    Emits samples ``(n, channels)`` in the blocks in which they are coded; rate and channels are
    those of the sound, known once it is open.

    **Times.** Of a recording ``start`` plus the time in the file. Of a stream the times of its
    container are those of a clock of its own, which the clock model maps to the host clock by the
    blocks of least delay. A stream's first blocks are held back for 1 s, once, since servers send
    what they have buffered in a burst. How long server and network delay it is not seen: see
    ``Device(path_delay=)``.

    **Losses.** Samples that are missing by the times of the container are in the gap before the
    next ones. A damaged piece is an `OverrunError` on `Device.faults`. A recording that ends early
    is reported where its format says its length, over the network as `DeviceLostError`; so is the
    end of a stream.

    Attributes
    ----------
    source
        Path of a file, or URL: ``http://``, ``https://``, ``rtsp://``, ``tcp://`` …
    dtype
        ``"float32"`` in [-1, 1], ``"int16"``, or ``"int32"``; integers of more bits are cut, as
        other readers do, floats are rounded and clipped.
    track
        Number of the track of sound, of several.
    start
        Time of position 0 of a file; None: the time of opening.
    pace
        Pace of a file. ``"live"``: its own, so that it stands in for a microphone; ``"max"``: as
        fast as it can be read. In both it waits for subscribers: subscribe before opening to have
        all. What has an end and comes from a URL is played at its own pace.
    timeout
        Longest time for a stream to open, and for more to come, until it is lost [s].

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> from rxstream import Device
    >>> path = tempfile.mkdtemp() + "/a.wav"
    >>> soundfile.write(path, np.array([0.5, -0.5, 0.25]), 8000)
    >>> device = Device(MediaSound(path, dtype="int16"))
    >>> with device.reader() as reader, device:
    ...     print(reader.read(3, timeout=10).data.T, device.info.rate)
    [[ 16384 -16384   8192]] 8000.0
    """

    source: str | os.PathLike[str]
    dtype: Format = "float32"
    track: int = 0
    start: Time | None = None
    pace: Pace = "live"
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if not isinstance(self.source, str | os.PathLike) or not os.fspath(self.source):
            msg = f"MediaSound: source must be a path or a URL, not {self.source!r}"
            raise ParameterError(msg)
        check_choice(self.dtype, Format, "MediaSound: dtype")
        check_choice(self.pace, Pace, "MediaSound: pace")
        if not is_whole(self.track, 0):
            msg = f"MediaSound: track must be a number from 0, not {self.track!r}"
            raise ParameterError(msg)
        to_span(self.timeout, "MediaSound: timeout")
        if self.start is not None:
            to_ns(self.start)
        if self.live and (self.start is not None or self.pace != "live"):
            where = shown(self._where)
            msg = f"MediaSound: start and pace are for files; {where} is played as it comes"
            raise ParameterError(msg)

    @property
    def _where(self) -> str:
        return os.fspath(self.source).removeprefix("file://")

    @property
    def live(self) -> bool:
        """True for a URL, False for a file, which waits for subscribers."""
        return kind_of(self._where) == "stream"

    @property
    def info(self) -> StreamInfo:
        """Description by the options; rate and channels are known only when it is open."""
        return self._info(None, (), "host", {"shape": "unknown"})

    def _info(
        self,
        rate: float | None,
        shape: tuple[int, ...],
        clock: Literal["host", "own"],
        extra: dict[str, Any],
    ) -> StreamInfo:
        return StreamInfo(
            "mediasound", rate, shape, np.dtype(self.dtype),
            unit="FS" if self.dtype == "float32" else "", device_clock=clock,
            extra={"source": shown(self._where), **extra},
        )  # fmt: skip

    def open(self, emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:
        """Open it, wait for the first samples, and start to play.

        Raises
        ------
        DeviceNotFoundError
            If there is no such file, or nothing answers at the URL.
        FormatError
            If it holds no sound.
        ParameterError
            If it has no such track.
        MissingExtraError
            If PyAV is not installed.
        """
        av = import_optional("av", extra="video")
        where, remote = self._where, self.live
        if not remote:
            check_file("mediasound", where)
        encoding = ENCODINGS[_ENCODINGS[self.dtype]]

        def begun() -> _Begun:
            sound = open_sound(av, where, self.track, encoding, self.timeout, remote=remote)
            sound.fail = fail
            try:
                return self._begin(sound)
            except BaseException:
                sound.release()
                raise

        opened = _interruptible(begun) if remote else begun()
        try:
            return self._play(opened, emit, fail)
        except BaseException:
            opened.sound.release()
            raise

    def _begin(self, sound: SoundInput) -> "_Begun":
        """Wait for the first block."""
        blocks = sound.blocks()
        try:
            first = next(blocks, None)
        except DeviceLostError as error:
            what = "sound that PyAV can decode"
            raise no_stream("mediasound", self._where, self.timeout, what) from error
        if first is None:
            msg = f"mediasound: {shown(self._where)} holds no sound that PyAV can decode"
            raise FormatError(msg)
        return _Begun(sound, blocks, first)

    def _play(self, begun: "_Begun", emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:
        sound, recorded = begun.sound, begun.sound.recorded
        start = now_ns() if self.start is None else to_ns(self.start)
        reader = SoundReader(
            sound, begun.blocks, begun.first, start, emit, fail, shown(self._where),
            paced=recorded and self.pace == "live", remote=self.live,
        )  # fmt: skip
        clock: Literal["host", "own"] = "host" if recorded else "own"
        info = self._info(float(sound.rate), (sound.channels,), clock, sound.facts)
        return reader.start(), info


class _Begun(NamedTuple):
    """An opened sound, its blocks, and the first one, which has been read already."""

    sound: SoundInput
    blocks: Iterator[Block]
    first: Block


def _interruptible(begun: Callable[[], _Begun]) -> _Begun:
    """Return what a function opens, in a thread beside: while it waits, PyAV swallows Ctrl-C."""
    found: list[_Begun] = []
    over = threading.Event()

    def run() -> None:
        found.append(begun())
        if over.is_set():
            found[0].sound.release()

    call = DriverCall("mediasound", "open", run)
    try:
        while not call.wait(_LOOK):
            pass
    except BaseException:
        over.set()
        for one in found:
            one.sound.release()
        raise
    if call.error is not None:
        raise call.error
    return found[0]
