"""Streams without a server of their own: in an app of Starlette, and in one of Flask."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from counterparts import free_port
from fakes import eventually
from posts import half_post, post

from rxstream import Chunk, Device
from rxstream.devices import Ingest
from rxstream.devices.ingest import asgi_app, wsgi_app
from rxstream.devices.messages import Json
from rxstream.testing import check_source

pytestmark = pytest.mark.real

LINES = "application/x-ndjson"


@contextmanager
def starlette_app() -> Iterator[str]:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    def home(_: Any) -> PlainTextResponse:
        return PlainTextResponse("home")

    app = Starlette(routes=[Route("/", home), Mount("/ingest", asgi_app())])
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    assert eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def flask_app() -> Iterator[str]:
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            """Say nothing."""

    app = Flask("lab")
    app.route("/")(lambda: "home")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/ingest": wsgi_app()})  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=[starlette_app, flask_app])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as url:
        yield url


def test_it_keeps_the_rules_in_an_app(url: str) -> None:
    numbers = itertools.count()

    def feed() -> None:
        assert post(f"{url}/ingest/it", str(next(numbers)).encode())[0] == 200

    source = Ingest("/it", Json("i4"), None)
    check_source(lambda: source, feed=feed, busy=lambda: source)


def test_the_rest_of_the_app_goes_on(url: str) -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/roof", Json("i4"), None, max_bytes=1000))
    device.subscribe(chunks.append)
    at = f"{url}/ingest/roof"
    with device:
        assert httpx.get(f"{url}/").text == "home"
        assert httpx.post(at, json=[1, 2]).json() == {"samples": 2}
        assert httpx.post(f"{at}/nowhere", json=[1, 2]).status_code == 404
        assert httpx.get(at).headers["allow"] == "POST"
        assert post(at, b"1\n2.5\n", LINES)[1]["row"] == 2
        assert post(at, b" " * 2000)[0] == 413
    assert post(at, b"5")[0] == 503
    assert [value for chunk in chunks for value in chunk.data.tolist()] == [1, 2]


def test_a_body_that_goes_on_is_taken_as_it_comes_in_an_app(url: str) -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/on", Json("i4"), None))
    device.subscribe(chunks.append)
    head = f"Content-Type: {LINES}\r\nTransfer-Encoding: chunked\r\nConnection: close"
    with device, half_post(f"{url}/ingest/on", head) as client:
        for number in range(5):
            client.sendall(b"2\r\n%d\n\r\n" % number)
            assert eventually(
                lambda number=number: chunks and chunks[-1].data.tolist()[-1:] == [number]
            )
        client.sendall(b"0\r\n\r\n")
        assert b"200 OK" in client.recv(10_000)


def test_a_server_that_knows_no_chunks_says_so() -> None:
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/no", "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_TYPE": LINES, "CONTENT_LENGTH": "",
    }  # fmt: skip
    given: list[Any] = []
    with Device(Ingest("/no", Json("i4"), None)):
        (body,) = wsgi_app()(environ, lambda *answer: given.extend(answer))
    assert given[0] == "411 Length Required"
    assert b"send one" in body


def test_a_body_that_is_cut_off_is_not_taken(url: str) -> None:
    chunks: list[Chunk[Any]] = []
    device = Device(Ingest("/cut", Json("i4"), None))
    device.subscribe(chunks.append)
    at = f"{url}/ingest/cut"
    with device:
        with half_post(at, f"Content-Type: {LINES}\r\nContent-Length: 100", b"1\n2\n"):
            pass
        assert post(at, b"7")[0] == 200
        assert eventually(lambda: chunks)
    assert [value for chunk in chunks for value in chunk.data.tolist()] == [7]
