"""`Inlet`: an open stream, into which bodies of requests go; `Board`: the inlets of a server."""

import hmac
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.ingest.raw import Raw
from rxstream.devices.ingest.refusal import Refusal
from rxstream.devices.messages import MessageFormat
from rxstream.errors import DeviceBusyError
from rxstream.printable import get_logger, printable

__all__ = ["MOUNTED", "Board", "Inlet", "Ticket"]

_log = get_logger(__name__)

# Keys of requests that are remembered, to know one that is sent again.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Ticket:
    """Samples on their way into the stream.

    Attributes
    ----------
    reading
        The samples.
    taken
        Done once they are in the stream; or it has the `Refusal`.
    """

    reading: Reading
    taken: Future[None] = field(default_factory=Future)

    def settle(self, emit: Callable[[], bool]) -> None:
        """Emit the samples, and say whether they are in the stream, as ``emit`` returns it."""
        done = False
        try:
            done = emit()
        finally:
            if done:
                self.taken.set_result(None)
            else:
                self.taken.set_exception(_closed())


class Inlet:
    """An open stream: takes the samples of bodies, on any thread, for the thread of the device.

    Parameters
    ----------
    form
        What the rows of bodies are.
    info
        Description of the stream.
    token
        What clients must show; empty: nothing.
    max_bytes, max_pending
        Longest body, and most bytes of all that are coming or wait to be taken.
    """

    def __init__(
        self,
        form: MessageFormat | Raw,
        info: StreamInfo,
        token: str = "",
        max_bytes: int = 1 << 20,
        max_pending: int = 16 << 20,
    ) -> None:
        self.form, self.info, self.max_bytes = form, info, max_bytes
        self._token, self._max_pending = token.encode(), max_pending
        self._changed = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._pending = 0  # bytes reserved
        self._known: OrderedDict[str, Future[None]] = OrderedDict()
        self._last: tuple[str, Future[None]] | None = None
        self._noted: set[int] = set()  # statuses of what was refused
        self.closed = False

    # -- requests -----------------------------------------------------------------------------

    def authorize(self, headers: Mapping[str, str]) -> None:
        """Raise Refusal unless the request shows the token; the time it takes shows nothing."""
        if not self._token:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self._token)
        if kind.lower() != "bearer" or not same:
            msg = "no such token; send the header Authorization: Bearer TOKEN"
            raise Refusal(401, msg, {"WWW-Authenticate": "Bearer"})

    def note(self, refusal: Refusal) -> None:
        """Log what is refused, the first of each status: the client may not look at the answer."""
        with self._changed:
            known = refusal.status in self._noted or (refusal.status == 503 and self.closed)
            self._noted.add(refusal.status)
        if not known:
            _log.warning(
                "%s: a request is refused (HTTP %d): %s; from now on such are answered only",
                self.info.extra["url"], refusal.status, printable(refusal.text, 300),
            )  # fmt: skip

    def reserve(self, size: int) -> None:
        """Keep room for a body of so many bytes; raise Refusal if there is none."""
        with self._changed:
            self._check_open()
            if self._pending + size > self._max_pending:
                msg = (
                    f"{self._pending} bytes are waiting already, of {self._max_pending} at most; "
                    "send it again later"
                )
                raise Refusal(503, msg)
            self._pending += size

    def free(self, size: int) -> None:
        """Give room back."""
        with self._changed:
            self._pending -= size

    def put(self, reading: Reading, key: str = "", repeat: str = "") -> Future[None]:
        """Take samples; the future is done once they are in the stream.

        Parameters
        ----------
        reading
            Samples and their evidence, but for their arrival, which is now.
        key
            Name of the request: if one of this name came before, it is not taken again.
        repeat
            What is the same if the request before is sent again, which is not taken then, either.
        """
        with self._changed:
            self._check_open()
            before = self._known.get(key) if key else None
            if before is None and repeat and self._last is not None and self._last[0] == repeat:
                before = self._last[1]
            if before is not None:
                return before
            ticket = Ticket(replace(reading, arrival=now_ns()))
            if key:
                self._known[key] = ticket.taken
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
            self._last = (repeat, ticket.taken) if repeat else None
            self._waiting.append(ticket)
            self._changed.notify()
            return ticket.taken

    def _check_open(self) -> None:
        if self.closed:
            msg = "nobody takes samples here now; send it again later"
            raise Refusal(503, msg)

    # -- the thread of the device -------------------------------------------------------------

    def next(self, timeout: float) -> Ticket | None:
        """Return the next samples, to be emitted; None if none come within ``timeout`` [s]."""
        with self._changed:
            end = time.monotonic() + timeout
            while not self._waiting:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            return self._waiting.popleft()

    def close(self) -> None:
        """Take no more; what waits is refused."""
        with self._changed:
            self.closed = True
            waiting, self._waiting = list(self._waiting), deque()
            self._known.clear()
        for ticket in waiting:
            ticket.taken.set_exception(_closed())


def _closed() -> Refusal:
    return Refusal(503, "it was closed meanwhile; send it again")


class Board:
    """The inlets of one server, or of the apps of this process, by their paths."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # those that were closed, too
        self._inlets: dict[str, Inlet] = {}

    def add(self, path: str, inlet: Inlet) -> None:
        """Offer an inlet; raise DeviceBusyError if the path has one that is open."""
        with self._lock:
            before = self._inlets.get(path)
            if before is not None and not before.closed:
                msg = (
                    f"ingest: the path {path} is taken by another open stream of this process; "
                    "close that one, or give this one a path of its own"
                )
                raise DeviceBusyError(msg)
            self._inlets[path] = inlet

    def find(self, path: str) -> Inlet:
        """Return the inlet of a path; raise Refusal if it has none."""
        inlet = self._inlets.get(path or "/")
        if inlet is None:
            raise Refusal(404, f"no stream has the path {path or '/'}; see path= of Ingest")
        return inlet

    @property
    def empty(self) -> bool:
        """Whether no inlet is open."""
        return all(inlet.closed for inlet in list(self._inlets.values()))


MOUNTED = Board()
"""The inlets of streams without a server of their own."""
