"""web_socket: the messages of a server of web sockets (extra ``websocket``)."""

from collections.abc import Iterator, Mapping
from typing import Any

from rxstream.authoring import ParameterError, source
from rxstream.data.clock import Duration, to_span
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
from rxstream.optional import import_optional

__all__ = ["WebSocket"]

# Normal closure: the server has no more to send.
_OVER = 1000

# Closed by us, since a message is too long.
_TOO_LONG = 1009


def _checked(options: Any) -> Mapping[str, Any]:
    url = options.url
    check_url(url, ("ws", "wss"), "WebSocket")
    check_tls(
        options, "WebSocket", used=url.startswith("wss://"), remedy="begin the url with wss://"
    )
    check_secret(options.token, "WebSocket: token")
    if options.max_bytes < 1:
        msg = f"WebSocket: max_bytes must be >= 1, not {options.max_bytes}"
        raise ParameterError(msg)
    to_span(options.max_delay, "WebSocket: max_delay")
    return {"url": url}


@source(
    dtype=lambda options: checked_form(options.message, "WebSocket: message").dtype,
    extra=_checked, requires="rxstream[websocket]",
)  # fmt: skip
def WebSocket(  # noqa: N802 - it becomes a class
    url: str,
    message: MessageFormat = Text(),  # noqa: B008 - it is frozen
    *,
    begin: str = "",
    subprotocol: str = "",
    token: str = "",
    ca: str = "",
    cert: str = "",
    key: str = "",
    max_bytes: int = 1 << 20,
    max_delay: Duration = 1.0,
) -> Iterator[Any]:
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
    client = import_optional("websockets.sync.client", extra="websocket")
    errors = import_optional("websockets.exceptions", extra="websocket")
    options: dict[str, Any] = {
        "open_timeout": 5, "close_timeout": 0.3, "max_size": max_bytes, "ping_interval": 5,
        "ping_timeout": 5,
    }  # fmt: skip
    if subprotocol:
        options["subprotocols"] = [subprotocol]
    options["additional_headers"] = bearer(token, "WebSocket: token")
    if url.startswith("wss://"):
        options["ssl"] = tls_context(ca, cert, key)
    server = _connected(client, errors, url, options)
    info = WebSocket(url, message).info
    decoder = MessageDecoder(message, info)
    beat = Heartbeats.of_messages(info, message, max_delay)
    with server:
        try:
            if begin:
                server.send(begin)
            yield
            yield from _readings(server, errors, decoder, beat)
        except errors.ConnectionClosed as error:
            if error.sent is not None and error.sent.code == _TOO_LONG:
                msg = f"a message is longer than max_bytes={max_bytes}; give a larger one"
                raise ConnectionError(msg) from error
            raise
        finally:
            # left by GeneratorExit it would say that there was an error
            server.close()


def _readings(server: Any, errors: Any, decoder: MessageDecoder, beat: Heartbeats) -> Iterator[Any]:
    """Yield what comes, until the server says that it is over."""
    while True:
        try:
            reading = decoder.reading(server.recv(timeout=BEAT))
        except TimeoutError:
            yield beat.reading()
        except errors.ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == _OVER:
                return
            raise
        else:
            yield from beat.overdue() if reading is None else [reading]


def _connected(client: Any, errors: Any, url: str, options: Mapping[str, Any]) -> Any:
    """Return a connection with a server."""
    made: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        made.append(client.ClientConnection(*args, **kwargs))
        return made[-1]

    try:
        return client.connect(url, create_connection=make, **options)
    except KeyboardInterrupt:
        # its thread would wait for an answer for ever
        for connection in made:
            connection.close_socket()
        raise
    except errors.InvalidStatus as error:
        raise refused("websocket", url, error.response.status_code) from error
    except (OSError, errors.WebSocketException) as error:
        raise unreachable("websocket", url, error) from error
