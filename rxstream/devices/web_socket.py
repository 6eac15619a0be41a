"""web_socket: the messages of a server of web sockets (extra ``websocket``)."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring import EmitValue
from rxstream.authoring.async_generators import open_async
from rxstream.authoring.options import check_options
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
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
from rxstream.devices.messages import MessageDecoder, MessageFormat, Text, checked_form
from rxstream.errors import ParameterError
from rxstream.optional import import_optional

__all__ = ["WebSocket"]

# Longest waits: for the connection, and for the server's goodbye as it is closed [s].
_OPEN, _CLOSE = 5.0, 0.3

# How often the server is asked whether it is there, which is also how long it may take [s].
_PING = 5.0

# Normal closure: the server has no more to send.
_OVER = 1000

# Closed by us, since a message is too long.
_TOO_LONG = 1009


@dataclass(frozen=True, slots=True)
class WebSocket:
    """Messages of a server of web sockets: a sample each, or several in a JSON list.

    A message that is no sample is lost, which the gap before the next sample counts. If the server
    closes the connection as over (1000) the stream ends, if by anything else it is lost. A server
    that does not answer a ping within 10 s is gone.

    Times are those of arrival, or of the sender's clock, if a field of the messages has it.

    Attributes
    ----------
    url
        ``"ws://host:port/path"``, or ``wss://`` with TLS.
    message
        What a message is: ``Text(longest)``, or ``Json(dtype, time)``.
    begin
        What is sent first, e.g. to subscribe.
    subprotocol
        What both are to speak; empty: any.
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
    >>> WebSocket("ws://localhost:8000", Json([("x", "f4"), ("y", "f4")], time="t")).info.dtype
    dtype([('x', '<f4'), ('y', '<f4')])
    """

    url: str
    message: MessageFormat = field(default_factory=Text)
    _: KW_ONLY
    begin: str = ""
    subprotocol: str = ""
    token: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    max_bytes: int = 1 << 20
    max_delay: Duration = 1.0

    def __post_init__(self) -> None:
        check_options(self, type(self))
        checked_form(self.message, "WebSocket: message")
        check_url(self.url, ("ws", "wss"), "WebSocket")
        is_tls = self.url.startswith("wss://")
        check_tls(self, "WebSocket", used=is_tls, remedy="begin the url with wss://")
        check_secret(self.token, "WebSocket: token")
        if self.max_bytes < 1:
            msg = f"WebSocket: max_bytes must be >= 1, not {self.max_bytes}"
            raise ParameterError(msg)
        to_span(self.max_delay, "WebSocket: max_delay")

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        return StreamInfo("websocket", dtype=self.message.dtype, extra={"url": self.url})

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Connect to the server.

        Raises
        ------
        DeviceNotFoundError
            If it does not answer, or by an error.
        DeviceBusyError
            If it refuses access.
        MissingExtraError
            If websockets is not installed.
        """
        # The client of asyncio, in one thread. That of threads reads and writes TLS in two, for
        # which OpenSSL is not made: one opening in a hundred to three hundred got no answer.
        return open_async(
            self._listen, self.info, emit, fail,
            requires="rxstream[websocket]", beats=False,
        )  # fmt: skip

    async def _listen(self, put: EmitValue) -> AsyncGenerator[Any, None]:
        client = import_optional("websockets.asyncio.client", extra="websocket")
        errors = import_optional("websockets.exceptions", extra="websocket")
        server = await self._connect(client, errors)
        decoder, silence = MessageDecoder(self.message, self.info), _Silence(self, put)
        beats = None
        try:
            if self.begin:
                await server.send(self.begin)
            yield
            beats = asyncio.create_task(silence.beat())
            while (message := await _next(server, errors)) is not None:
                reading = decoder.reading(message)
                if reading is not None:
                    silence.end()
                    yield reading
        except errors.ConnectionClosed as error:
            if error.sent is not None and error.sent.code == _TOO_LONG:
                msg = f"a message is longer than max_bytes={self.max_bytes}; give a larger one"
                raise ConnectionError(msg) from error
            raise
        finally:
            if beats is not None:
                beats.cancel()
            await _leave(server)

    async def _connect(self, client: Any, errors: Any) -> Any:
        """Return a connection with the server."""
        options: dict[str, Any] = {
            "open_timeout": _OPEN, "close_timeout": _CLOSE, "max_size": self.max_bytes,
            "ping_interval": _PING, "ping_timeout": _PING,
            "additional_headers": bearer(self.token, "WebSocket: token"),
        }  # fmt: skip
        if self.subprotocol:
            options["subprotocols"] = [self.subprotocol]
        if self.url.startswith("wss://"):
            options["ssl"] = tls_context(self.ca, self.cert, self.key)
        try:
            return await client.connect(self.url, **options)
        except errors.InvalidStatus as error:
            raise refused("websocket", self.url, error.response.status_code) from error
        except (OSError, errors.WebSocketException) as error:
            raise unreachable("websocket", self.url, error) from error


async def _next(server: Any, errors: Any) -> str | bytes | None:
    """Return the next message; None once the server says that it is over."""
    try:
        message: str | bytes = await server.recv()
    except errors.ConnectionClosed as error:
        if error.rcvd is not None and error.rcvd.code == _OVER:
            return None
        raise
    return message


async def _leave(server: Any) -> None:
    """Say goodbye, for which a server that does not read is not waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2 * _CLOSE):
            await server.close()
    server.transport.abort()


class _Silence:
    """Puts a heartbeat wherever no sample came for a while.

    A timer of its own, since one for each message would be a quarter of all work in a fast stream.
    """

    def __init__(self, source: WebSocket, put: EmitValue) -> None:
        self._beats = Heartbeats.of_messages(source.info, source.message, source.max_delay)
        self._put, self._since = put, time.monotonic()

    def end(self) -> None:
        """Begin anew: a sample has come."""
        self._since = time.monotonic()

    async def beat(self) -> None:
        """Put heartbeats until it is cancelled."""
        while True:
            left = self._since + BEAT - time.monotonic()
            if left <= 0:
                self._put(self._beats.reading())
                self.end()
                left = BEAT
            await asyncio.sleep(left)
