"""Ready conversions for the readers of stream2py's plugins."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import StreamInfo
from rxstream.devices.keyboard.decode import Decoder
from rxstream.devices.stream2py.source import Conversion
from rxstream.errors import DeviceNotFoundError, ParameterError
from rxstream.formats.keys import KEY_DTYPE
from rxstream.printable import shown

__all__ = ["AUDIO", "HEALTH", "KEYBOARD", "PLC", "REQUEST", "VIDEO", "VIDEO_FILE", "WAV"]

# Longest wait for the first answer of a PLC, besides its pause between two [s].
_FIRST_ANSWER = 5.0
# A text of S7 has as many characters at most.
_LONGEST_TEXT = 254
# OpenCV's CAP_PROP_POS_MSEC: time of the frame that was read last [ms].
_POS_MSEC = 0


# -- audiostream2py -----------------------------------------------------------------------------


def _sound_info(info: StreamInfo, reader: Any) -> StreamInfo:
    about = reader.info
    dtype = _sound_dtype(about)
    unit = "FS" if dtype.kind == "f" else ""
    shape = (int(about["channels"]),)
    return replace(info, rate=float(about["rate"]), shape=shape, dtype=dtype, unit=unit)


def _microphone_info(info: StreamInfo, reader: Any) -> StreamInfo:
    """Return the same, and what is lost at once: whole buffers."""
    return replace(_sound_info(info, reader), quantum=reader.info.get("frames_per_buffer") or None)


def _sound_dtype(about: Mapping[str, Any]) -> np.dtype[Any]:
    """Return the type of a sample of ``width`` bytes as PyAudio and wave mean it."""
    width = int(about["width"])
    if width == 1:
        # a file of this width is always unsigned
        return np.dtype("u1" if about.get("unsigned", True) else "i1")
    if width == 4:
        return np.dtype("<i4" if "n_frames" in about else "<f4")
    return np.dtype("<i2" if width == 2 else "<i4")


def _sound(item: Any, reader: Any) -> NDArray[Any] | None:
    """Return an ``AudioSegment``, or the tuple or dict of the base classes, ``(n, channels)``."""
    if isinstance(item, Mapping):
        waveform = item["wf"]
    else:
        waveform = item[2] if isinstance(item, tuple) else item.waveform
    if not waveform:
        return None
    about = reader.info
    dtype, channels, width = _sound_dtype(about), int(about["channels"]), int(about["width"])
    if width == 3:
        # its 24 bits on top of an int32, so that full scale is that of int32
        wide = np.zeros((len(waveform) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(waveform, np.uint8).reshape(-1, 3)
        return wide.view("<i4").reshape(-1, channels)
    return np.frombuffer(waveform, dtype).reshape(-1, channels)


def _is_none(item: Any, reader: Any) -> bool:
    return item is None


def _start_date(item: Any) -> Any:
    return item.start_date


_SOUND = StreamInfo("audio", 44_100.0, (1,), np.dtype("<i2"))

AUDIO = Conversion(_sound, _SOUND, _microphone_info)
"""A ``PyAudioSourceReader``: sound ``(n, channels)``, timed by its rate and when it was read.

The stamps of audiostream2py count samples for up to 1 000 s, and lose sight of a card's drift and
of what it lost: our clock model knows better.
"""

WAV = Conversion(
    _sound, replace(_SOUND, name="wav"), _sound_info, key="us", stamp=_start_date, ends=_is_none
)
"""A ``WavFileSourceReader``, with ``live=False``: its times are those from ``start_date`` on."""


# -- videostream2py -----------------------------------------------------------------------------


def _frame_info(info: StreamInfo, reader: Any) -> StreamInfo:
    about = reader.info
    shape = (int(about["frame_height"]), int(about["frame_width"]), 3)
    return replace(info, shape=shape)


def _frame(item: Any, reader: Any) -> NDArray[Any]:
    _, is_there, frame = item
    if not is_there:
        msg = f"no frame of {shown(reader.video_input)}"
        raise OSError(msg)
    image: NDArray[Any] = frame
    return image


def _frame_of_file(item: Any, reader: Any) -> tuple[NDArray[Any], int]:
    """Return a frame, and its time in the file after that of opening it [ns]."""
    since = round(reader.video_capture.get(_POS_MSEC) * 1e6)
    return _frame(item, reader), reader.info["bt"] * 1000 + since


def _has_no_frame(item: Any, reader: Any) -> bool:
    return not item[1]


_FRAMES = StreamInfo("video", None, (480, 640, 3), np.dtype("u1"), device_clock="host")

VIDEO = Conversion(_frame, _FRAMES, _frame_info)
"""A ``VideoCapture`` of a camera: frames ``(height, width, 3)`` in BGR, timed by their arrival."""

VIDEO_FILE = Conversion(_frame_of_file, _FRAMES, _frame_info, ends=_has_no_frame)
"""A ``VideoCapture`` of a file, with ``live=False``: frames at their times, from its opening on."""


# -- keyboardstream2py --------------------------------------------------------------------------


def _taken_at(item: Any) -> Any:
    return item[1]


def _key_stroke(item: Any, reader: Any) -> NDArray[Any]:
    """Return ``(index, time, character)`` as keys ``(n,)`` with the names that `Keyboard` gives."""
    decoder = Decoder()
    character = item[2]
    data = character if isinstance(character, bytes) else character.encode(errors="replace")
    names = decoder.feed(data) + decoder.flush()
    keys = np.zeros(len(names), KEY_DTYPE)
    keys["key"], keys["pressed"] = names, True
    return keys


KEYBOARD = Conversion(
    _key_stroke, StreamInfo("keyboard", None, (), KEY_DTYPE), key="us", stamp=_taken_at
)
"""A ``KeyboardInputSourceReader``: samples of ``KEY_DTYPE``, as `Keyboard` has them.

An arrow key is three items of that reader, and so three keys.
"""


# -- pchealthstream2py --------------------------------------------------------------------------

_LEAVES = {
    "memory.total": "B", "memory.available": "B", "memory.free": "B", "memory.used_bytes": "B",
    "memory.used_percents": "%", "disk.free": "B", "disk.used": "%", "cpu.used": "%",
    "cpu.temp": "°C", "network.download": "Mbit/s", "network.upload": "Mbit/s",
}  # fmt: skip
# What the reader gives where it does not know.
_UNKNOWN_TEMPERATURE = -1


def _state(item: Any, reader: Any) -> tuple[float, ...]:
    """Return ``(index, time, {part: {name: {"val": …, "unit": …}}})`` as one number a leaf."""
    return tuple(_leaf(item[2], name) for name in _LEAVES)


def _leaf(parts: Mapping[str, Any], name: str) -> float:
    part, _, what = name.partition(".")
    found = (parts.get(part) or {}).get(what) or {}
    value = found.get("val")
    if value is None or found.get("unit") == "not installed":
        return math.nan
    return math.nan if name == "cpu.temp" and value == _UNKNOWN_TEMPERATURE else float(value)


HEALTH = Conversion(
    _state,
    StreamInfo(
        "health", None, (), np.dtype([(name, "f8") for name in _LEAVES]),
        extra={"units": _LEAVES},
    ),
    key="us",
    stamp=_taken_at,
)  # fmt: skip
"""A ``StatusInfoReader``: a field for each leaf, as ``"memory.used_percents"``; NaN: not known."""


# -- plcstream2py -------------------------------------------------------------------------------


def _plc_info(info: StreamInfo, reader: Any) -> StreamInfo:
    """Return fields named after the items, of the types that the first answer has."""
    until = time.monotonic() + _FIRST_ANSWER + float(reader.sleep_time_on_read_none_s or 0)
    while not reader.data:
        if time.monotonic() > until:
            msg = f"{info.name}: the PLC has not answered ({reader.last_error!r}); see its items"
            raise DeviceNotFoundError(msg)
        time.sleep(0.01)
    fields = [_plc_field(entry["key"], entry["value"]) for entry in reader.data[0]]
    return replace(info, dtype=np.dtype(fields))


def _plc_field(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, bytes | bytearray):
        return name, "u1", (len(value),)
    # bool is an int
    for kind, dtype in ((bool, "?"), (int, "i8"), (float, "f8"), (str, f"U{_LONGEST_TEXT}")):
        if isinstance(value, kind):
            return name, dtype
    msg = f"the item {name!r} has {shown(value)}; give it a convert= of plcstream2py or snap7"
    raise ParameterError(msg)


def _plc_values(item: Any, reader: Any) -> dict[str, Any]:
    values = {entry["key"]: entry["value"] for entry in item}
    return {
        name: np.frombuffer(value, "u1") if isinstance(value, bytes | bytearray) else value
        for name, value in values.items()
    }


def _plc_is_lost(item: Any, reader: Any) -> bool:
    """Raise what the last poll raised: the reader logs it, and goes on asking."""
    if item is None and reader.last_error is not None:
        raise reader.last_error
    return False


def _asked_at(item: Any) -> Any:
    return item[0]["bt"]


PLC = Conversion(
    _plc_values, StreamInfo("plc", None, (), np.dtype([("value", "f8")])), _plc_info, key="us",
    stamp=_asked_at, ends=_plc_is_lost,
)  # fmt: skip
"""A ``PlcReader``: a field for each item, named by its ``key``, of the type that it first has."""


# -- flaskstream2py -----------------------------------------------------------------------------


def _body(item: Any, reader: Any) -> NDArray[Any]:
    return np.frombuffer(item, np.uint8)


REQUEST = Conversion(_body, StreamInfo("request", None, (), np.dtype("u1")))
"""A ``FlaskRequestReader``, with ``live=False``, opened in the handler: the bytes of its body."""
