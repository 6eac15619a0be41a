"""The app for servers that speak WSGI: Flask, Django, and what runs them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeAlias

from rxstream.devices.ingest.body import TIMEOUT, Body, open_body
from rxstream.devices.ingest.inlet import MOUNTED, Board
from rxstream.devices.ingest.raw import Raw
from rxstream.devices.ingest.refusal import Refusal, answer

__all__ = ["WsgiApp", "wsgi_app"]

WsgiApp: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Most bytes that are read at a time.
_PIECE = 1 << 16


def wsgi_app() -> WsgiApp:
    """Return an app that takes samples for each open ``Ingest(path, port=None)`` of this process.

    It needs a server that handles each request in a thread of its own, as most do.

    Examples
    --------
    >>> from flask import Flask
    >>> from werkzeug.middleware.dispatcher import DispatcherMiddleware
    >>> app = Flask("lab")
    >>> app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/ingest": wsgi_app()})
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        line, headers = "200 OK", dict[str, str]()
        try:
            content = _take(MOUNTED, environ)
        except Refusal as refusal:
            content, line, headers = refusal.content, refusal.line, refusal.headers
            # which is between servers and clients
            headers.pop("Connection", None)
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        start_response(line, list(headers.items()))
        return [content]

    return app


def _take(board: Board, environ: dict[str, Any]) -> bytes:
    """Take a request; return the answer to it."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    if "content-length" not in headers:
        if environ.get("wsgi.input_terminated"):
            headers["transfer-encoding"] = "chunked"
        elif "transfer-encoding" in headers:
            msg = "this server takes no body without a Content-Length; send one"
            raise Refusal(411, msg)
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    with open_body(board, method, path, headers) as body:
        for data in _pieces(environ["wsgi.input"], body):
            _taken(body.feed(data))
        _taken(body.end())
    return answer(samples=body.count)


def _pieces(stream: Any, body: Body) -> Iterator[bytes]:
    """Give the bytes of a body as they come."""
    read, left = _reading(stream, body), body.length
    while left is None or left > 0:
        try:
            data = read(_PIECE if left is None else min(left, _PIECE))
        except OSError as error:
            raise Refusal(400, f"the body was cut off ({error}); send it again") from error
        if not data:
            if left:
                raise Refusal(400, f"the body was cut off: {left} bytes are missing; send it again")
            return
        left = None if left is None else left - len(data)
        yield data


def _reading(stream: Any, body: Body) -> Callable[[int], bytes]:
    """Return how to read so many bytes at most; of a body that goes on those that are there."""
    if not body.goes_on:
        return stream.read  # type: ignore[no-any-return]
    if hasattr(stream, "read1"):
        return stream.read1  # type: ignore[no-any-return]
    # others wait until all have come that are asked for
    form = body.inlet.form
    if isinstance(form, Raw):
        size = form.sample_bytes
        return lambda _: stream.read(size)
    return stream.readline  # type: ignore[no-any-return]


def _taken(future: Future[None] | None) -> None:
    if future is None:
        return
    try:
        future.result(TIMEOUT)
    except TimeoutError:
        raise Refusal(503, f"it is not taken within {TIMEOUT:g} s; send it again later") from None
