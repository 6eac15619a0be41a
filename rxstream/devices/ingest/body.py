"""`Body`: one request, from its head to its last sample, whatever server has it."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

from rxstream.data.stream_info import Reading
from rxstream.devices.ingest.inlet import Board, Inlet
from rxstream.devices.ingest.raw import Raw
from rxstream.devices.ingest.refusal import Refusal
from rxstream.devices.ingest.rows import (
    CONTENT_TYPES,
    BodyReader,
    RowReader,
    json_reader,
    row_reader,
)
from rxstream.devices.messages import to_stamp
from rxstream.printable import shown

__all__ = ["TIMEOUT", "Body", "open_body"]

TIMEOUT = 10.0
"""Longest pause in a body with a length [s], and longest wait until its samples are taken."""

# Most characters of a key of a request.
_KEY = 200

# More digits are no number that counts or is a time.
_DIGITS = 30


@contextmanager
def open_body(board: Board, method: str, path: str, headers: Mapping[str, str]) -> Iterator["Body"]:
    """Give the body of a request, for which room is kept; what is refused is noted, too.

    Parameters
    ----------
    board
        The inlets of the server.
    method, path
        Of the request; the path within the app.
    headers
        Its headers, by their names in small letters.

    Raises
    ------
    Refusal
        If the request is not taken.
    """
    inlet = board.find(path)
    try:
        body = Body(inlet, method, headers)
        inlet.reserve(body.room)
        try:
            yield body
        finally:
            inlet.free(body.room)
    except Refusal as refusal:
        inlet.note(refusal)
        raise


class Body:
    """The body of one request: checks its head, then makes samples of its bytes.

    A body with a length is taken as a whole or not at all; one that goes on (without a length) as
    it comes. JSON that is no lines is always a whole.

    Parameters
    ----------
    inlet
        Where its samples go.
    method
        Of the request.
    headers
        Its headers, by their names in small letters.

    Attributes
    ----------
    count
        Samples taken so far.
    goes_on
        Whether it is taken as it comes.
    length
        Its length [bytes]; None if that is not known.
    room
        Most bytes that it takes in memory.

    Raises
    ------
    Refusal
        Here and later, where the request is not taken.
    """

    def __init__(self, inlet: Inlet, method: str, headers: Mapping[str, str]) -> None:
        self.inlet = inlet
        inlet.authorize(headers)
        if method != "POST":
            raise Refusal(405, f"send samples by POST, not {method}", {"Allow": "POST"})
        kind = _content_type(inlet, headers)
        length = _length(headers, inlet.max_bytes)
        lines = kind != "application/json"
        self.goes_on = lines and length is None
        self._counter, self._key = _counter(inlet, headers), _key(headers, goes_on=self.goes_on)
        stamp = _stamp(inlet, headers)
        form = inlet.form
        self._rows: RowReader | None = None
        self._reader: BodyReader
        if lines or isinstance(form, Raw):
            self._reader = self._rows = row_reader(form, inlet.info, stamp, inlet.max_bytes)
        else:
            self._reader = json_reader(form, inlet.info)
        self._whole = bytearray()
        self.room = inlet.max_bytes if length is None else length
        self.length, self.count = length, 0

    @property
    def size(self) -> int:
        """Bytes of a whole body so far."""
        return len(self._whole)

    def check(self, silent: float) -> None:
        """Raise Refusal if the stream is closed, or a whole body was silent too long [s]."""
        if self.inlet.closed:
            raise Refusal(503, "it was closed meanwhile; send it again", samples=self.count)
        if silent > TIMEOUT and not self.goes_on:
            raise Refusal(408, f"nothing has come for {TIMEOUT:g} s of the body; send it again")

    def feed(self, data: bytes) -> Future[None] | None:
        """Take bytes; return what is to be waited for."""
        self.check(0.0)
        if self.goes_on and self._rows is not None:
            with self._counted():
                return self._put(self._rows.feed(data))
        self._whole += data
        if len(self._whole) > self.inlet.max_bytes:
            raise _too_long(self.inlet.max_bytes)
        return None

    def end(self) -> Future[None] | None:
        """Take the end; return what is to be waited for."""
        with self._counted():
            if self.goes_on and self._rows is not None:
                return self._put(self._rows.rest())
            body, repeat = bytes(self._whole), ""
            if self._counter is not None:
                repeat = f"{self._counter} {hashlib.sha256(body).hexdigest()}"
            return self._put(self._reader.whole(body), self._key, repeat)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Add to a refusal how many samples were taken before it."""
        try:
            yield
        except Refusal as refusal:
            refusal.more["samples"] = self.count
            raise

    def _put(self, reading: Reading | None, key: str = "", repeat: str = "") -> Future[None] | None:
        if reading is None:
            return None
        count = len(reading.data)
        counter = self.inlet.info.counter
        if self._counter is not None and counter is not None:
            size = 1 << counter.bits
            self._counter = (self._counter + count) % size
            reading = replace(reading, counter=(self._counter - 1) % size)
        taken = self.inlet.put(reading, key, repeat)
        self.count += count
        return taken


def _content_type(inlet: Inlet, headers: Mapping[str, str]) -> str:
    kinds = CONTENT_TYPES[type(inlet.form)]
    given = headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind not in kinds:
        msg = f"Content-Type is {shown(given)}; send {' or '.join(kinds)}"
        raise Refusal(415, msg, {"Accept": ", ".join(kinds)})
    coding = headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise Refusal(415, f"Content-Encoding is {shown(coding)}; send the body as it is")
    return kind


def _length(headers: Mapping[str, str], most: int) -> int | None:
    """Return how long a body is [bytes]; None if that is not known yet."""
    given = headers.get("content-length")
    if given is None:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return None
        return 0
    if not _is_digits(given):
        raise Refusal(400, f"Content-Length is {shown(given)}; it must be a number of bytes")
    length = int(given)
    if length > most:
        raise _too_long(most, length)
    return length


def _too_long(most: int, length: int | None = None) -> Refusal:
    given = "more" if length is None else str(length)
    msg = (
        f"the body has {given} bytes, {most} at most are taken; send it in parts, or set max_bytes="
    )
    return Refusal(413, msg)


def _counter(inlet: Inlet, headers: Mapping[str, str]) -> int | None:
    """Return the number of the first sample of a body; None if they have none."""
    counter = inlet.info.counter
    if counter is None:
        return None
    given = headers.get("x-counter", "")
    if not _is_digits(given) or int(given) >= 1 << counter.bits:
        msg = (
            f"X-Counter is {shown(given)}; send the number of the body's first sample, from 0 to "
            f"2**{counter.bits} - 1, in this header"
        )
        raise Refusal(400, msg)
    return int(given)


def _key(headers: Mapping[str, str], *, goes_on: bool) -> str:
    key = headers.get("idempotency-key", "")
    if len(key) > _KEY:
        raise Refusal(400, f"Idempotency-Key has {len(key)} characters; {_KEY} at most are taken")
    if key and goes_on:
        raise Refusal(
            411, "a body with an Idempotency-Key needs a Content-Length, to be taken whole"
        )
    return key


def _stamp(inlet: Inlet, headers: Mapping[str, str]) -> int | None:
    """Return the stamp of the first sample of a body [ns]; None if it has none."""
    given, form = headers.get("x-time"), inlet.form
    if given is None:
        return None
    if not (isinstance(form, Raw) and form.rate and not form.time):
        msg = "X-Time is for Raw samples with a rate; others have their time in a field: see time="
        raise Refusal(400, msg)
    try:
        return to_stamp(int(given) if _is_digits(given.lstrip("-")) else given, 1e-9)
    except ValueError as error:
        msg = f"X-Time is {shown(given)} ({error}); send whole nanoseconds, or ISO 8601"
        raise Refusal(400, msg) from None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
