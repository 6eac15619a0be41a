"""The source of what web servers send."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.async_generators import open_async
from rxstream.authoring.generators import open_generator
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.access import bearer, check_secret, refused, tls_context, unreachable
from rxstream.devices.http.events import EventReader, LineReader
from rxstream.devices.messages import MessageDecoder, MessageFormat, Text, checked_form
from rxstream.errors import ParameterError
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.validation import check_choice, is_whole

__all__ = ["Http"]

_Body: TypeAlias = Literal["auto", "lines", "events"]

# Longest wait for an answer to begin, and for one that is asked for each time [s].
_OPEN, _ANSWER = 5.0, 1.5

# Seconds of silence before the system asks whether the server is there, between questions, and how
# many: a cut cable is seen within 20 s.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 5}

# Answers from this status on are errors [HTTP].
_ERROR = 400


@dataclass(slots=True)
class _Resume:
    """Where the events of a server go on, after a loss."""

    last_id: str = ""


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
        What a message is: ``Text(longest)``, or ``Json(dtype, time)``.
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

    Examples
    --------
    >>> from rxstream.devices.messages import Json
    >>> Http("http://localhost:8000/now", Json([("celsius", "f4")]), every=10).info.dtype.names
    ('celsius',)
    """

    url: str
    message: MessageFormat = field(default_factory=Text)
    every: Duration | None = None
    body: _Body = "auto"
    event: str = ""
    token: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    max_bytes: int = 1 << 20
    _resume: _Resume = field(default_factory=_Resume, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url.startswith(("http://", "https://")):
            msg = f"Http: url must begin with http:// or https://, not {shown(self.url)}"
            raise ParameterError(msg)
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            msg = "Http: give the password by token=, not in the url, where it would be seen"
            raise ParameterError(msg)
        checked_form(self.message, "Http: message")
        if self.every is not None:
            to_span(self.every, "Http: every")
            if self.body != "auto" or self.event:
                msg = "Http: what is asked every so often is one message; leave out body and event"
                raise ParameterError(msg)
        check_choice(self.body, _Body, "Http: body")
        for name in ("event", "token", "ca", "cert", "key"):
            if not isinstance(getattr(self, name), str):
                msg = f"Http: {name} must be a text, not {shown(getattr(self, name))}"
                raise ParameterError(msg)
        check_secret(self.token, "Http: token")
        if not is_whole(self.max_bytes, 1):
            msg = f"Http: max_bytes must be a whole number >= 1, not {shown(self.max_bytes)}"
            raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first message."""
        return StreamInfo("http", dtype=self.message.dtype, extra={"url": self.url})

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
            return open_async(lambda _: self._listen(), self.info, emit, fail)
        return open_generator(lambda _: self._ask(), self.info, emit, fail, every=self.every)

    # -- asked once, it goes on sending -------------------------------------------------------

    async def _listen(self) -> AsyncGenerator[Any, None]:
        httpx = import_optional("httpx", extra="http")
        decoder = MessageDecoder(self.message, self.info)
        async with self._answer(httpx) as answer:
            yield
            events = self._reader(answer)
            if isinstance(events, EventReader):
                self._resume.last_id = ""
            try:
                async for data in answer.aiter_bytes():
                    for message in events.feed(data):
                        reading = decoder.reading(message)
                        if reading is not None:
                            yield reading
                if isinstance(events, EventReader) or not _has_end(answer):
                    msg = f"{self.url} has closed the connection"
                    raise ConnectionError(msg)
                for message in events.rest():
                    yield decoder.reading(message)
            except (httpx.HTTPError, OSError):
                # not as it is closed by us: then it begins anew
                if isinstance(events, EventReader):
                    self._resume.last_id = events.last_id
                raise

    @asynccontextmanager
    async def _answer(self, httpx: Any) -> AsyncIterator[Any]:
        """Give the answer of the server, whose body has not come yet."""
        headers = {"Accept": "text/event-stream, */*", "Cache-Control": "no-store"}
        headers |= self._headers()
        if self._resume.last_id:
            headers["Last-Event-ID"] = self._resume.last_id
        transport = httpx.AsyncHTTPTransport(verify=self._verify(), socket_options=_keepalive())
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

    def _reader(self, answer: Any) -> EventReader | LineReader:
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        body = self.body
        if body == "events" or (body == "auto" and kind == "text/event-stream"):
            return EventReader(self.event, self.max_bytes, self._resume.last_id)
        return LineReader(self.max_bytes)

    # -- asked every so often -----------------------------------------------------------------

    def _ask(self) -> Generator[Any, None, None]:
        httpx = import_optional("httpx", extra="http")
        decoder = MessageDecoder(self.message, self.info)
        headers = self._headers() | {"Cache-Control": "no-cache"}
        with httpx.Client(verify=self._verify(), timeout=_ANSWER, headers=headers) as client:
            try:
                first = client.get(self.url)
            except (httpx.TransportError, OSError) as error:
                raise unreachable("http", self.url, error) from error
            self._check(first)
            yield
            while True:
                try:
                    answer = client.get(self.url)
                except httpx.RemoteProtocolError:
                    # a server may close an idle connection as it is used again
                    answer = client.get(self.url)
                answer.raise_for_status()
                yield decoder.reading(answer.content)

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


def _keepalive() -> list[tuple[int, int, int]]:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
