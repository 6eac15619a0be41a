"""Codecs of video files: FFmpeg's encoders by their four letters, each frame a packet at once."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["CODECS", "CONTAINERS", "Codec", "Container"]


class Codec(NamedTuple):
    """An encoder of FFmpeg, set so that it keeps no frame back."""

    encoder: str
    pixels: str
    """Format of its pixels."""
    options: Mapping[str, str]
    max_rate: int
    """Frames per second that its streams can have [Hz]."""


# One quantizer for all frames: quality is constant, and a frame as long as it needs. 2 is the best
# of 31; 3 halves the size of noisy frames, and nobody sees it.
_QUALITY = {"qmin": "3", "qmax": "3"}
_JPEG = Codec("mjpeg", "yuvj420p", _QUALITY, 1 << 31)
# the standard has 16 bits for the clock
_MPEG4 = Codec("mpeg4", "yuv420p", _QUALITY, 65_535)
_H264 = Codec(
    "libx264", "yuv420p", {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}, 1 << 31
)
_FFV1 = Codec("ffv1", "bgr0", {"level": "3", "g": "1"}, 1 << 31)

CODECS = {
    "MJPG": _JPEG,
    "MP4V": _MPEG4, "FMP4": _MPEG4, "XVID": _MPEG4, "DIVX": _MPEG4,
    "AVC1": _H264, "H264": _H264, "X264": _H264,
    "FFV1": _FFV1,
}  # fmt: skip
"""Codecs by their four letters in capitals."""


class Container(NamedTuple):
    """A format of files."""

    muxer: str
    """FFmpeg's name."""
    default: str
    """Codec if none is asked for."""
    codecs: str
    """Encoders that it can hold."""
    max_rate: int
    """Frames per second that its times can tell apart [Hz]."""
    options: Mapping[str, str]
    """So that it can be read at every moment, and is a usual file when it is closed."""
    tail: Mapping[str, str] | None
    """For the frames that its muxer keeps back: so that they can be written without it."""


_MP4_FLAGS = "empty_moov+default_base_moof"
_MP4 = Container(
    "mp4", "mp4v", "mjpeg mpeg4 libx264", 10_000,
    {"movflags": f"{_MP4_FLAGS}+hybrid_fragmented", "frag_duration": "500000"},
    {"movflags": f"{_MP4_FLAGS}+skip_trailer+frag_custom"},
)  # fmt: skip
CONTAINERS = {
    ".avi": Container(
        "avi", "MJPG", "mjpeg mpeg4 ffv1", 1000, {"flush_packets": "1"}, None
    ),
    # times are whole milliseconds
    ".mkv": Container(
        "matroska", "MJPG", "mjpeg mpeg4 libx264 ffv1", 1000,
        {"cluster_time_limit": "500"}, {"live": "1"},
    ),
    ".m4v": _MP4,
    ".mov": _MP4._replace(muxer="mov"),
    ".mp4": _MP4,
}  # fmt: skip
"""Formats by the suffix of their files."""
