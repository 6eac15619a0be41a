"""Parts of a body ``multipart/x-mixed-replace``, each with its headers."""

import re
from email.message import Message
from fractions import Fraction
from typing import NamedTuple

from rxstream.devices.messages import to_stamp

__all__ = ["Part", "PartReader", "boundary_of", "stamp_of"]

# Most bytes of the headers of a part, and of a line between parts.
_HEAD = 1 << 14

_SECONDS = re.compile(r"\d{1,12}(\.\d{1,12})?")


class Part(NamedTuple):
    """A part of a body.

    Attributes
    ----------
    headers
        By their names in small letters.
    data
        What it holds; empty if it is broken.
    """

    headers: dict[str, str]
    data: bytes


def boundary_of(content_type: str) -> bytes:
    """Return what is between the parts; empty if the body has none.

    Examples
    --------
    >>> boundary_of('multipart/x-mixed-replace; boundary="--frame"')
    b'frame'
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_maintype() != "multipart" or not isinstance(boundary, str):
        return b""
    # some servers count the dashes in front of it as a part of it
    return boundary.strip().removeprefix("--").encode("latin-1", "replace")


def stamp_of(headers: dict[str, str]) -> int | None:
    """Return the stamp of a part [ns]; None if it has none.

    Examples
    --------
    >>> stamp_of({"x-timestamp": "12.000345"})
    12000345000
    """
    given = headers.get("x-timestamp", "").strip()
    if _SECONDS.fullmatch(given):
        stamp = round(Fraction(given) * 10**9)
        return stamp if stamp < 1 << 63 else None
    try:
        return to_stamp(given, 1.0)
    except ValueError:
        return None


class PartReader:
    r"""Finds parts, by their length if they have one, else by what is between them.

    Parameters
    ----------
    boundary
        What is between them, without the dashes before it.
    longest
        Most bytes of a part.

    Examples
    --------
    >>> reader = PartReader(b"x", 1000)
    >>> reader.feed(b"--x\r\nContent-Length: 2\r\n\r\nab\r\n--x\r\n\r\ncd")
    [Part(headers={'content-length': '2'}, data=b'ab')]
    >>> reader.feed(b"\r\n--x--"), reader.over
    ([Part(headers={}, data=b'cd')], True)
    """

    def __init__(self, boundary: bytes, longest: int) -> None:
        self._line = b"--" + boundary
        self._longest = longest
        self._rest = bytearray()
        self._headers: dict[str, str] | None = None  # of the part under way
        self._searched = 0  # bytes of the rest without a boundary
        self._begun = False
        self.over = False
        """Whether the body has come to its own end."""

    def feed(self, data: bytes) -> list[Part]:
        """Take bytes; return the parts that are complete.

        Raises
        ------
        ConnectionError
            If a part is longer than it may be.
        """
        self._rest += data
        parts: list[Part] = []
        while not self.over:
            part = self._next()
            if part is None:
                break
            parts.append(part)
        return parts

    def _next(self) -> Part | None:
        """Return the next part; None if it has not come yet."""
        if self._headers is None and not self._read_head():
            return None
        headers = self._headers or {}
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and len(length) < 20:
            return self._of_length(headers, int(length))
        return self._until_boundary(headers)

    def _read_head(self) -> bool:
        """Find a boundary and the headers after it; return whether they have come."""
        rest = self._rest
        at = rest.find(self._line)
        if at < 0:
            # before the first one may be anything
            del rest[: max(0, len(rest) - len(self._line) + 1)]
            return False
        end = at + len(self._line)
        if rest[end : end + 2] == b"--":
            self.over = True
            return False
        found = re.compile(rb"\r?\n\r?\n").search(rest, end)
        if found is None:
            if len(rest) - at > _HEAD:
                msg = "the headers of a part have no end"
                raise ConnectionError(msg)
            return False
        lines = bytes(rest[end : found.start()]).decode("latin-1").splitlines()
        pairs = (line.partition(":") for line in lines if ":" in line)
        self._headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        del rest[: found.end()]
        self._searched = 0
        return True

    def _of_length(self, headers: dict[str, str], length: int) -> Part | None:
        self._check(length)
        if len(self._rest) < length:
            return None
        data = bytes(self._rest[:length])
        del self._rest[:length]
        self._headers = None
        # a boundary within: bytes of it were left out, and those of the next one are here instead
        at = data.find(b"\n" + self._line)
        if at < 0:
            return Part(headers, data)
        self._rest[:0] = data[at:]
        return Part(headers, b"")

    def _until_boundary(self, headers: dict[str, str]) -> Part | None:
        rest, line = self._rest, b"\n" + self._line
        at = 0 if rest.startswith(self._line) else rest.find(line, self._searched)
        if at < 0:
            self._searched = max(0, len(rest) - len(line) + 1)
            self._check(len(rest))
            return None
        data = bytes(rest[:at]).removesuffix(b"\r")
        del rest[:at]
        self._headers = None
        return Part(headers, data)

    def _check(self, length: int) -> None:
        if length > self._longest:
            msg = f"a part has {length} bytes or more, of max_bytes={self._longest}"
            raise ConnectionError(msg)
