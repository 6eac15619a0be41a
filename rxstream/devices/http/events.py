"""Messages in the body of an answer: a line each, or server-sent events."""

import codecs
from typing import Protocol

__all__ = ["EventReader", "LineReader", "MessageReader"]


class MessageReader(Protocol):
    """Finds messages in the bytes of one answer."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the messages that are complete.

        Raises
        ------
        ConnectionError
            If a message is longer than it may be.
        """
        ...


class LineReader:
    r"""Finds lines that end with ``"\n"`` or ``"\r\n"``; empty ones are none.

    Parameters
    ----------
    longest
        Most bytes of a line.
    """

    def __init__(self, longest: int) -> None:
        self._longest, self._rest = longest, b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the lines that are complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        _check(self._rest, self._longest)
        return [line for line in (line.rstrip(b"\r") for line in lines) if line]

    def rest(self) -> list[bytes]:
        """Return the last line, which needs no end where the answer has one."""
        line, self._rest = self._rest, b""
        return [line] if line else []


class EventReader:
    r"""Finds server-sent events, as the standard of HTML describes them.

    Parameters
    ----------
    kind
        Kind of the events that are taken; empty: all.
    longest
        Most bytes of an event.
    last_id
        Number of the last event before, which holds until another one is given.

    Examples
    --------
    >>> reader = EventReader("", 1000)
    >>> reader.feed(b": hello\n\nid: 7\ndata: 20.5\n\ndata: 2"), reader.last_id
    ([b'20.5'], '7')
    """

    def __init__(self, kind: str, longest: int, last_id: str = "") -> None:
        self._kind, self._longest = kind, longest
        self._rest = b""
        self._data: list[bytes] = []
        self._event, self._id = "", last_id
        self._begun = False
        self.last_id = last_id
        """Number of the last event, as the server gives it."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the data of the events that are complete."""
        self._rest += data
        # a return at the end may be half of an end of line
        held = b"\r" if self._rest.endswith(b"\r") else b""
        text = self._rest.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
        found = [event for line in lines for event in self._line(line)]
        _check(self._rest, self._longest - sum(map(len, self._data)))
        return found

    def _line(self, line: bytes) -> list[bytes]:
        """Take a line; return the event that it ends."""
        if not self._begun:
            self._begun, line = True, line.removeprefix(codecs.BOM_UTF8)
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                self._data.append(value)
            elif name == b"event":
                self._event = value.decode(errors="replace")
            elif name == b"id" and b"\0" not in value:
                self._id = value.decode(errors="replace")
            return []
        data, event = self._data, self._event or "message"
        self.last_id, self._data, self._event = self._id, [], ""
        return [b"\n".join(data)] if data and self._kind in ("", event) else []


def _check(rest: bytes, most: int) -> None:
    if len(rest) > most:
        msg = "a message is longer than max_bytes"
        raise ConnectionError(msg)
