"""Where a film or a sound is: a file, a stream; what is in the way of opening it."""

import os
import re
import socket
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from rxstream.errors import DeviceError, DeviceNotFoundError, FormatError

__all__ = ["Kind", "check_file", "kind_of", "no_stream", "shown"]

Kind: TypeAlias = Literal["camera", "stream", "file", "sequence"]

NUMBER = re.compile(r"%0?\d*d")
"""A number in the pattern of numbered files."""

_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtmp": 1935}
# longest wait to see whether anybody answers [s]
_CONNECT_TIMEOUT = 2.0


def kind_of(source: int | str) -> Kind:
    """Return the kind of a source, by its text alone."""
    if isinstance(source, int) or source.startswith("/dev/"):
        return "camera"
    # a GStreamer pipeline, or a URL
    if " ! " in source or ("://" in source and not source.startswith("file://")):
        return "stream"
    return "sequence" if NUMBER.search(Path(source).name) else "file"


def shown(source: int | str) -> str:
    """Return a source for messages and files: a URL without its password."""
    return re.sub(r"://[^/@]*@", "://", str(source))


def check_file(name: str, path: str, remedy: str = "give a file in it") -> None:
    """Raise an error of the device ``name`` unless there is a file that may be read.

    Raises
    ------
    DeviceNotFoundError
        If there is none, or this user may not read it.
    FormatError
        If it is a folder, for which ``remedy`` says what to do, or a pipe or the like.
    """
    if not os.path.exists(path):
        msg = f"{name}: there is no file {path!r} (the folder is {os.getcwd()!r})"
        raise DeviceNotFoundError(msg)
    if os.path.isdir(path):
        msg = f"{name}: {path!r} is a folder; {remedy}"
        raise FormatError(msg)
    if not os.path.isfile(path):
        # nobody could interrupt the driver, which waits for what may never come
        msg = f"{name}: {path!r} is no file; what is sent live is for a URL, e.g. tcp://host:port"
        raise FormatError(msg)
    if not os.access(path, os.R_OK):
        msg = f"{name}: this user may not read {path!r}; change its permissions"
        raise DeviceNotFoundError(msg)


def no_stream(name: str, url: str, timeout: float, what: str) -> DeviceError | FormatError:
    """Return the error for a URL that gave nothing; try to connect, to know why.

    Parameters
    ----------
    name
        Name of the device.
    url
        The URL.
    timeout
        How long it was waited for [s].
    what
        What it did not send, e.g. ``"video that OpenCV can read"``.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.hostname and port and parts.scheme not in ("udp", "rtp", "srt"):
        try:
            wait = min(timeout, _CONNECT_TIMEOUT)
            socket.create_connection((parts.hostname, port), wait).close()
        except (OSError, UnicodeError) as error:
            msg = f"{name}: {shown(url)} does not answer ({error}); check its address and power"
            return DeviceNotFoundError(msg)
        return FormatError(
            f"{name}: {shown(url)} answers, but sent no {what} within {timeout:g} s; check the "
            "path and password, or make timeout longer"
        )
    msg = f"{name}: {shown(url)} cannot be opened, or sent no {what} within {timeout:g} s"
    return DeviceNotFoundError(msg)
