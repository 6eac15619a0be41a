"""The source of what web servers send."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.async_generators import open_async
from rxstream.authoring.generators import open_generator
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.access import (
    bearer,
    check_secret,
    check_tls,
    check_url,
    refused,
    tls_context,
    unreachable,
)
from rxstream.devices.heartbeats import BEAT, Heartbeats
from rxstream.devices.http.deadline import Deadline
from rxstream.devices.http.events import EventReader, LineReader
from rxstream.devices.http.frames import FrameDecoder, Jpeg
from rxstream.devices.http.parts import boundary_of
from rxstream.devices.http.pieces import Pieces
from rxstream.devices.http.receivers import FrameReceiver, MessageReceiver, Receiver, joined
from rxstream.devices.keepalive import KEEPALIVE
from rxstream.devices.messages import MessageDecoder, MessageFormat, Text
from rxstream.errors import DeviceError, DeviceNotFoundError, ParameterError
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.validation import check_choice, is_whole

__all__ = ["Http"]

_Body: TypeAlias = Literal["auto", "lines", "events"]

# Longest wait for an answer to begin, and for one that is asked for each time [s].
_OPEN, _ANSWER = 5.0, 1.5

# What a server has kept it sends as it is opened: longest waits for that to begin, where it is new,
# and where it goes on after a loss; longest pause within it [s].
_KEPT, _RESUMED, _PAUSE = 0.05, 0.5, 0.05

# Answers from this status on are errors [HTTP].
_ERROR = 400


@dataclass(slots=True)
class _Resume:
    """Where the events of a server go on, after a loss."""

    last_id: str = ""
    heard: int = 0  # when the last event had come [ns]

    def marked(self, reading: Reading) -> Reading:
        """Return a reading of what was sent again with the times between which it happened."""
        if reading.device_time is not None or reading.arrival is None:
            return reading
        return replace(reading, bounds=(self.heard, reading.arrival))


@dataclass(slots=True)
class _First:
    """What came as a device was opened, and the error that came after it."""

    readings: list[Reading] = field(default_factory=list)
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Http:
    """What a web server sends: a message each line, server-sent events, or answers when asked.

    A message that is no sample is lost, which the gap before the next sample counts. Server-sent
    events have numbers: opened again after a loss, it asks for those after the last one that came.

    The stream ends where the answer has an end and it is reached; events have none. A connection
    that is cut off is a lost device, and so is an answer that is an error.

    Times are those of arrival, or of the sender's clock, if a field of the messages has it; what is
    asked is between question and answer.

    Attributes
    ----------
    url
        ``"http://host:port/path"``, or ``https://``.
    message
        What a message is: ``Text(longest)``, ``Json(dtype, time)``, or `Jpeg`, an image.
    every
        Time from one question to the next [s], for a server that answers with the present state;
        None: it is asked once, and goes on sending.
    body
        What it goes on sending: ``"lines"``, ``"events"``; ``"auto"``: as the answer says.
    event
        Kind of the events that are taken; empty: all.
    token
        Where the token of access is, ``"env:NAME"`` or ``"file:PATH"``; it is sent as a bearer's.
    ca, cert, key
        Paths of trusted certificates (empty: the system's), and of the client's own.
    max_bytes
        Longest message.
    max_delay
        Longest time from a sample with a stamp to its arrival [s], as where a server sends several
        at a time. Joins and windows wait so long where nothing comes.

    Examples
    --------
    >>> from rxstream.devices.messages import Json
    >>> Http("http://localhost:8000/now", Json([("celsius", "f4")]), every=10).info.dtype.names
    ('celsius',)
    """

    url: str
    message: MessageFormat | Jpeg = field(default_factory=Text)
    every: Duration | None = None
    body: _Body = "auto"
    event: str = ""
    token: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    max_bytes: int = 16 << 20
    max_delay: Duration = 1.0
    _resume: _Resume = field(default_factory=_Resume, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("url", "event", "token", "ca", "cert", "key"):
            if not isinstance(getattr(self, name), str):
                msg = f"Http: {name} must be a text, not {shown(getattr(self, name))}"
                raise ParameterError(msg)
        check_url(self.url, ("http", "https"), "Http")
        is_tls = self.url.startswith("https://")
        check_tls(self, "Http", used=is_tls, remedy="begin the url with https://")
        if isinstance(self.message, Jpeg):
            if self.body != "auto" or self.event:
                msg = "Http: body and event are for lines and events; leave them out for Jpeg()"
                raise ParameterError(msg)
        elif not isinstance(self.message, MessageFormat):
            msg = (
                "Http: message must be Text(...), Json(...) or Jpeg(...), not "
                f"{shown(self.message)}"
            )
            raise ParameterError(msg)
        if self.every is not None:
            to_span(self.every, "Http: every")
            if self.body != "auto" or self.event:
                msg = "Http: what is asked every so often is one message; leave out body and event"
                raise ParameterError(msg)
        check_choice(self.body, _Body, "Http: body")
        check_secret(self.token, "Http: token")
        to_span(self.max_delay, "Http: max_delay")
        if not is_whole(self.max_bytes, 1):
            msg = f"Http: max_bytes must be a whole number >= 1, not {shown(self.max_bytes)}"
            raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first message."""
        extra = {"url": self.url}
        if isinstance(self.message, Jpeg):
            return self.message.describe(StreamInfo("http", extra=extra))
        return StreamInfo("http", dtype=self.message.dtype, extra=extra)

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Connect to the server.

        Raises
        ------
        DeviceNotFoundError
            If it does not answer, or by an error.
        DeviceBusyError
            If it refuses access.
        MissingExtraError
            If httpx is not installed.
        """
        if self.every is None:
            return open_async(lambda _: self._listen(), self.info, emit, fail, beats=False)
        return open_generator(lambda _: self._ask(), self.info, emit, fail, every=self.every)

    # -- asked once, it goes on sending -------------------------------------------------------

    async def _listen(self) -> AsyncGenerator[Any, None]:
        httpx = import_optional("httpx", extra="http")
        errors, resume = (httpx.HTTPError, OSError), self._resume
        async with self._answer(httpx) as answer:
            receiver = self._receiver(answer)
            pieces = Pieces(answer.aiter_bytes())
            try:
                first = await self._first(pieces, receiver, errors)
                yield receiver.info
                idle = resume.last_id and not first.readings
                last, heard = receiver.last_id, resume.heard if idle else now_ns()
                resume.last_id = ""
                try:
                    for reading in first.readings:
                        yield reading
                    if first.error is not None:
                        raise first.error
                    beat = self._beat(receiver, first.readings)
                    while not receiver.over:
                        if not await pieces.ready(BEAT):
                            yield beat.reading()
                            continue
                        if (data := await pieces.next()) is None:
                            break
                        readings = receiver.feed(data)
                        last, heard = receiver.last_id, now_ns() if readings else heard
                        for reading in readings or beat.overdue():
                            yield reading
                    if not receiver.over and (receiver.endless or not _has_end(answer)):
                        msg = f"{self.url} has closed the connection"
                        raise ConnectionError(msg)
                    for reading in receiver.rest():
                        yield reading
                except errors:
                    # not as it is closed by us: then it begins anew
                    resume.last_id, resume.heard = last, heard
                    raise
            finally:
                await pieces.close()

    def _beat(self, receiver: Receiver, first: list[Reading]) -> Heartbeats:
        """Return what makes heartbeats: what has stamps may be older than it comes."""
        info = receiver.info or self.info
        if any(reading.device_time is not None for reading in first):
            return Heartbeats(info, to_span(self.max_delay, "max_delay"))
        return Heartbeats.of_messages(info, self.message, self.max_delay)

    async def _first(
        self, pieces: Pieces, receiver: Receiver, errors: tuple[type[Exception], ...]
    ) -> _First:
        """Return what comes at once, as the device is opened: what the server has kept.

        Of frames it is the first one, which shows their size.
        """
        frames, resume = isinstance(self.message, Jpeg), self._resume
        wait, most = (_OPEN, _OPEN) if frames else (_KEPT, 2 * _KEPT)
        if resume.last_id:
            wait, most = _RESUMED, 2 * _RESUMED
        found, end = _First(), time.monotonic() + most
        try:
            while await pieces.ready(min(wait, end - time.monotonic())):
                data = await pieces.next()
                if data is None:
                    break  # it says so again
                found.readings += receiver.feed(data)
                wait = wait if frames else _PAUSE
                if frames and found.readings:
                    break
        except errors as error:
            found.error = error
        if frames and not found.readings:
            why = found.error or f"none until it ended, or within {_OPEN:g} s"
            msg = f"http: {self.url} sends no image ({why}); see that it is the url of a stream"
            raise DeviceNotFoundError(msg)
        if resume.last_id:
            found.readings = [resume.marked(reading) for reading in found.readings]
        found.readings = joined(found.readings)
        return found

    @asynccontextmanager
    async def _answer(self, httpx: Any) -> AsyncIterator[Any]:
        """Give the answer of the server, whose body has not come yet."""
        headers = {"Accept": "text/event-stream, */*", "Cache-Control": "no-store"}
        headers |= self._headers()
        if self._resume.last_id:
            headers["Last-Event-ID"] = self._resume.last_id
        transport = httpx.AsyncHTTPTransport(verify=self._verify(), socket_options=list(KEEPALIVE))
        timeout = httpx.Timeout(_OPEN, read=None)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            request = client.build_request("GET", self.url, headers=headers)
            try:
                async with asyncio.timeout(_OPEN):
                    answer = await client.send(request, stream=True)
            except (httpx.TransportError, OSError) as error:
                raise unreachable("http", self.url, error) from error
            try:
                self._check(answer)
                yield answer
            finally:
                await answer.aclose()

    def _receiver(self, answer: Any) -> Receiver:
        """Return what makes readings of the body of an answer."""
        form = self.message
        given = answer.headers.get("Content-Type", "")
        kind = given.partition(";")[0].strip().lower()
        boundary = boundary_of(given)
        if isinstance(form, Jpeg):
            if not boundary:
                msg = (
                    f"http: {self.url} sends {shown(kind)}, no multipart of images; for a single "
                    "image that is asked for give every="
                )
                raise DeviceNotFoundError(msg)
            return FrameReceiver(form, self.info, boundary, self.max_bytes)
        if boundary and self.body == "auto":
            msg = f"http: {self.url} sends {shown(kind)}; if these are images, give Jpeg()"
            raise DeviceNotFoundError(msg)
        reader: EventReader | LineReader
        if self.body == "events" or (self.body == "auto" and kind == "text/event-stream"):
            reader = EventReader(self.event, self.max_bytes, self._resume.last_id)
        else:
            reader = LineReader(self.max_bytes)
        return MessageReceiver(MessageDecoder(form, self.info), reader)

    # -- asked every so often -----------------------------------------------------------------

    def _ask(self) -> Generator[Any, None, None]:
        httpx = import_optional("httpx", extra="http")
        headers, deadline = self._headers() | {"Cache-Control": "no-cache"}, Deadline(_ANSWER)
        with httpx.Client(verify=self._verify(), timeout=_ANSWER, headers=headers) as client:
            try:
                first = self._content(client, deadline, self._check)
            except DeviceError:
                raise
            except (httpx.TransportError, OSError) as error:
                raise unreachable("http", self.url, error) from error
            read, info = self._asked(first)
            yield info
            check = httpx.Response.raise_for_status
            while True:
                try:
                    content = self._content(client, deadline, check)
                except httpx.RemoteProtocolError:
                    # a server may close an idle connection as it is used again
                    content = self._content(client, deadline, check)
                yield read(content)

    def _content(self, client: Any, deadline: Deadline, check: Callable[[Any], object]) -> bytes:
        """Return an answer that passes a check, and is neither too long nor too slow."""
        extensions = deadline.extensions
        with (
            deadline.watch(),
            client.stream("GET", self.url, extensions=extensions) as answer,
        ):
            check(answer)
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > self.max_bytes:
                    msg = f"the answer is longer than max_bytes={self.max_bytes}"
                    raise ConnectionError(msg)
        return bytes(content)

    def _asked(self, first: bytes) -> tuple[Callable[[bytes], Reading | None], StreamInfo | None]:
        """Return what makes readings of answers, and their description if it is known only now."""
        form = self.message
        if not isinstance(form, Jpeg):
            return MessageDecoder(form, self.info).reading, None
        decoder = FrameDecoder(form, "http")
        if decoder.frame(first) is None:
            msg = f"http: {self.url} answers no JPEG image, but {shown(first[:20])}"
            raise DeviceNotFoundError(f"{msg}; see the path of the url")
        decoder.lost = 0
        return decoder.reading, form.describe(self.info, decoder.shape or ())

    # -- both ---------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return bearer(self.token, "Http: token")

    def _verify(self) -> ssl.SSLContext | bool:
        if self.url.startswith("https://"):
            return tls_context(self.ca, self.cert, self.key)
        # nothing to verify, and the certificates of the system take long to load
        return False

    def _check(self, answer: Any) -> None:
        """Raise the error that an answer is."""
        status = answer.status_code
        if status >= _ERROR or answer.is_redirect:
            where = answer.headers.get("Location")
            moved = {"remedy": f"it has moved to {shown(where)}"} if where else {}
            raise refused("http", self.url, status, **moved)


def _has_end(answer: Any) -> bool:
    """Whether an answer says where it ends."""
    headers = answer.headers
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()
