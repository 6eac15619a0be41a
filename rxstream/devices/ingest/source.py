"""`Ingest`: the source of what clients post."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.devices.access import check_secret, read_secret
from rxstream.devices.heartbeats import BEAT, Heartbeats
from rxstream.devices.ingest.inlet import MOUNTED, Inlet
from rxstream.devices.ingest.raw import Raw
from rxstream.devices.ingest.server import Address, serve
from rxstream.devices.messages import Json, Text
from rxstream.errors import DeviceLostError, ParameterError
from rxstream.printable import shown
from rxstream.validation import check_range, is_whole

__all__ = ["Ingest"]

_PORTS = 1 << 16

_THIS_COMPUTER = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Ingest:
    """What clients send to this computer by HTTP: the bodies of their POSTs are the samples.

    It serves itself, at a port; or, with ``port=None``, an app of yours does that has `asgi_app` or
    `wsgi_app` in it. Streams of one port have a path each. A client that has a clock or numbers its
    samples needs a stream of its own, since a stream has one clock and one counter; others may
    share one.

    A body with a ``Content-Length`` is taken as a whole or not at all, and the answer, 200, says
    that its samples are in the stream. What is refused says why, and a row that is no sample has
    its number. A body that goes on (``Transfer-Encoding: chunked``) is taken as it comes.

    Times are those of arrival, or of the client's clock: a field of the samples, or the header
    ``X-Time`` (of the first sample of a body: whole nanoseconds, or ISO 8601).

    Attributes
    ----------
    path
        Path of the stream, ``"/roof"``.
    message
        What a row of a body is: ``Json(dtype, time)``, ``Text(longest)``, or `Raw`, binary samples.
    port
        Where it listens; None: an app of yours serves it.
    host
        Address at which it listens: ``"127.0.0.1"``, this computer alone; ``"0.0.0.0"``, all who
        can reach it, for which it needs a token.
    counter_bits
        Width of the number of its first sample that each body has in the header ``X-Counter``, by
        which losses are seen [bit]; 0: none.
    token
        Where the token that clients must show is, ``"env:NAME"`` or ``"file:PATH"``.
    cert, key
        Paths of the server's certificate and key, for TLS; empty: none.
    ca
        Path of the certificates by which clients must show theirs; empty: they need none.
    max_bytes
        Longest body, and of one that goes on longest row.
    max_pending
        Most bytes of all bodies that are coming or wait to be taken.
    max_delay
        Longest time from a sample with a stamp to its arrival [s]. Joins and windows wait so long
        where nothing comes.

    Examples
    --------
    >>> from rxstream.devices.messages import Json
    >>> Ingest("/roof", Json([("celsius", "f4")], time="t"), port=8000).info.extra["url"]
    'http://127.0.0.1:8000/roof'
    """

    path: str = "/"
    message: Json | Text | Raw = field(default_factory=Json)
    port: int | None = 8000
    host: str = "127.0.0.1"
    counter_bits: int = 0
    token: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""
    max_bytes: int = 1 << 20
    max_pending: int = 16 << 20
    max_delay: Duration = 60.0

    def __post_init__(self) -> None:
        for name in ("path", "host", "token", "cert", "key", "ca"):
            if not isinstance(getattr(self, name), str):
                msg = f"Ingest: {name} must be a text, not {shown(getattr(self, name))}"
                raise ParameterError(msg)
        if not self.path.startswith("/") or set(self.path) & set("?#% "):
            msg = f"Ingest: path must begin with / and be plain, as '/roof', not {shown(self.path)}"
            raise ParameterError(msg)
        if not isinstance(self.message, Json | Text | Raw):
            msg = (
                "Ingest: message must be Json(...), Text(...) or Raw(...), not "
                f"{shown(self.message)}"
            )
            raise ParameterError(msg)
        self._check_numbers()
        self._check_access()

    def _check_numbers(self) -> None:
        if self.port is not None and not (is_whole(self.port, 1) and self.port < _PORTS):
            msg = f"Ingest: port must be from 1 to {_PORTS - 1}, or None, not {shown(self.port)}"
            raise ParameterError(msg)
        check_range(self.counter_bits, "Ingest: counter_bits", 0, 64)
        if not is_whole(self.max_bytes, 1):
            msg = f"Ingest: max_bytes must be a whole number >= 1, not {shown(self.max_bytes)}"
            raise ParameterError(msg)
        if not is_whole(self.max_pending, self.max_bytes):
            msg = (
                f"Ingest: max_pending must be a whole number, at least max_bytes={self.max_bytes}, "
                f"not {shown(self.max_pending)}"
            )
            raise ParameterError(msg)
        to_span(self.max_delay, "Ingest: max_delay")

    def _check_access(self) -> None:
        check_secret(self.token, "Ingest: token")
        own = [name for name in ("cert", "key", "ca") if getattr(self, name)]
        if own and self.port is None:
            msg = f"Ingest: {own[0]} is for a server of its own; give a port, or it to your server"
            raise ParameterError(msg)
        if own and not self.cert:
            msg = f"Ingest: {own[0]} needs the certificate of the server: give cert="
            raise ParameterError(msg)
        if self.port is not None and self.host not in _THIS_COMPUTER and not self.token:
            msg = (
                f"Ingest: at host={shown(self.host)} all who can reach this computer could write: "
                "give token="
            )
            raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        form = self.message
        raw = form if isinstance(form, Raw) else Raw(form.dtype)
        counter = DeviceCounter(self.counter_bits) if self.counter_bits else None
        where = self.path if self.port is None else self._address(self.port).url + self.path
        return raw.describe("ingest", counter=counter, extra={"url": where})

    def _address(self, port: int) -> Address:
        return Address(self.host, port, self.cert, self.key, self.ca)

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Begin to listen.

        Raises
        ------
        DeviceBusyError
            If another program has the port, or another stream the path.
        DeviceNotFoundError
            If this computer has no such address, or there is no such certificate.
        MissingExtraError
            If uvicorn or starlette is not installed.
        """
        info = self.info
        token = read_secret(self.token, "Ingest: token") if self.token else ""
        inlet = Inlet(self.message, info, token, self.max_bytes, self.max_pending)
        beat = Heartbeats(info, to_span(self.max_delay, "max_delay") if self._is_stamped else 0)

        stack = ExitStack()
        is_served = stack.enter_context(self._offered(inlet))

        def read() -> Reading | None:
            ticket = inlet.next(BEAT)
            if ticket is not None:
                # here, since who waits is to know whether they are in the stream
                ticket.settle(lambda: emit(ticket.reading) is not False)
                return None
            if not is_served():
                msg = f"ingest: the server at port {self.port} has ended by itself"
                raise DeviceLostError(msg)
            if info.rate is not None:
                return None
            return beat.reading()

        try:
            return poll(read, emit, fail, name=info.name, release=stack.close)
        except BaseException:
            stack.close()  # the system has no more threads
            raise

    def _offered(self, inlet: Inlet) -> AbstractContextManager[Callable[[], bool]]:
        if self.port is None:
            return _mounted(self.path, inlet)
        return serve(self._address(self.port), self.path, inlet)

    @property
    def _is_stamped(self) -> bool:
        """Whether samples have stamps in themselves."""
        return not isinstance(self.message, Text) and bool(self.message.time)


@contextmanager
def _mounted(path: str, inlet: Inlet) -> Generator[Callable[[], bool], None, None]:
    MOUNTED.add(path, inlet)
    try:
        yield lambda: True
    finally:
        inlet.close()
