"""opcua: values that an OPC UA server sends as they change (extra ``opcua``)."""

import asyncio
import datetime as dt
import math
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.async_generators import open_async
from rxstream.authoring.fitting import fit
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.access import check_secret, read_secret, unreachable
from rxstream.devices.plc import DataType, Items, Place, checked_items
from rxstream.errors import (
    DeviceBusyError,
    DeviceNotFoundError,
    OverrunError,
    ParameterError,
)
from rxstream.optional import import_optional
from rxstream.printable import error_line, shown
from rxstream.validation import checked_dtype, is_whole

__all__ = ["OpcUa"]

# Longest waits: for the connection, for an answer, and as it is closed [s].
_CONNECT, _ANSWER, _CLOSE = 5.0, 4.0, 1.5

# How often the server is asked whether it is there, which is also how long it may take [s].
_WATCHDOG = 2.0

# How long nothing comes before a heartbeat [s].
_BEAT = 0.1

# Sendings until a change has come: the next one, and what may delay it.
_SENDINGS = 2

# How long a server keeps the session of a program that was killed [ms].
_SESSION = 60_000

# Bits of a status: it is one of a value, and the server's queue has overflowed before this value.
_OVERFLOW = 0x480

# without leading zeros, so that each node is written in one way
_NODE = re.compile(
    r"(ns=[1-9]\d{0,4};)?"
    r"(i=(0|[1-9]\d{0,9})|s=.+|g=[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|b=[\w+/]+={0,2})",
    re.DOTALL | re.ASCII,
)

# What a server says to who may not.
_DENIED = ("BadUserAccessDenied", "BadIdentityTokenInvalid", "BadIdentityTokenRejected")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def _parse(node: str) -> Place:
    """Check the identifier of a node; its place is the server's affair."""
    if _NODE.fullmatch(node) is None:
        msg = (
            f"{shown(node)} is no node; give e.g. 'ns=2;s=Boiler.Temperature', 'ns=2;i=5', or of "
            "namespace 0 'i=2258'"
        )
        raise ValueError(msg)
    return Place(node, 0, 1, DataType("LREAL"))


@dataclass(frozen=True, slots=True)
class OpcUa:
    """Values of nodes of an OPC UA server: a sample for each change, with its node and status.

    Samples have the fields ``node``, its name in ``items``, ``value``, and ``good``, whether the
    server says so of its status. A value that is missing is NaN, or an empty text. The first sample
    of each node is what it is as the device is opened.

    The server keeps up to ``queue`` changes of each node from one sending to the next. If it says
    that more came, the gap before the next sample counts one, since it does not say how many, and
    `Device.faults` has the node. A value that does not fit ``dtype`` is lost, too.

    Times are those of the source, ``SourceTimestamp``, a clock of its own. The first sample of each
    node may be old, so it has the time of arrival.

    Attributes
    ----------
    url
        ``"opc.tcp://host:4840/path"``.
    items
        Node of each name, ``{"temperature": "ns=2;s=Boiler.Temperature"}``; or one node.
    dtype
        Of a value: a number, a text, as ``"U40"``, or an array, as ``("f4", (3,))``. Booleans are
        1 and 0 in a number.
    every
        Time from one sending of the server to the next [s].
    sampling
        Time from one look of the server at its source to the next [s]; None: as fast as it can.
    queue
        Changes that the server keeps of each node.
    user, password
        Who it is, and where the password is: ``"env:NAME"`` or ``"file:PATH"``.

    Examples
    --------
    >>> OpcUa("opc.tcp://localhost:4840", {"pressure": "ns=2;i=5"}).info.dtype
    dtype([('node', '<U8'), ('value', '<f8'), ('good', '?')])
    """

    url: str
    items: Items
    dtype: DTypeLike = field(default_factory=lambda: np.dtype(float))
    every: Duration = 0.1
    sampling: Duration | None = None
    queue: int = 1000
    user: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url.startswith("opc.tcp://"):
            msg = f"OpcUa: url must begin with opc.tcp://, not {shown(self.url)}"
            raise ParameterError(msg)
        if "@" in self.url:
            msg = "OpcUa: give user= and password=, not in the url, where they would be seen"
            raise ParameterError(msg)
        object.__setattr__(self, "items", checked_items(self.items, _parse, "OpcUa"))
        nodes = [node for _, node in self._pairs()]
        if len(set(nodes)) < len(nodes):
            msg = "OpcUa: items: a node is there twice; give each node one name"
            raise ParameterError(msg)
        dtype = checked_dtype(self.dtype, "OpcUa: dtype")
        if dtype.names or dtype.base.kind not in "biufU":
            msg = f"OpcUa: dtype must be of numbers or text, e.g. float or 'U40', not {dtype}"
            raise ParameterError(msg)
        object.__setattr__(self, "dtype", dtype)
        to_span(self.every, "OpcUa: every")
        if self.sampling is not None:
            to_span(self.sampling, "OpcUa: sampling")
        if not is_whole(self.queue, 1):
            msg = f"OpcUa: queue must be a number of changes >= 1, not {shown(self.queue)}"
            raise ParameterError(msg)
        for name, value in (("user", self.user), ("password", self.password)):
            if not isinstance(value, str):
                msg = f"OpcUa: {name} must be a text, not {shown(value)}"
                raise ParameterError(msg)
        check_secret(self.password, "OpcUa: password")
        if self.password and not self.user:
            msg = "OpcUa: a password needs a user"
            raise ParameterError(msg)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        longest = max(len(name) for name, _ in self._pairs())
        fields: list[Any] = [("node", f"U{longest}"), ("value", self.dtype), ("good", "?")]
        return StreamInfo("opcua", dtype=np.dtype(fields), extra={"url": self.url})

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Connect to the server, and subscribe to the nodes.

        Raises
        ------
        DeviceNotFoundError
            If it does not answer, or has not one of the nodes.
        DeviceBusyError
            If it refuses access.
        MissingExtraError
            If asyncua is not installed.
        """
        return open_async(
            lambda _: self._listen(fail), self.info, emit, fail,
            requires="rxstream[opcua]", beats=False,
        )  # fmt: skip

    def _pairs(self) -> tuple[tuple[str, str], ...]:
        items: Any = self.items
        return ((items, items),) if isinstance(items, str) else items

    def _held(self) -> int:
        """Return how old a change may be when it comes [ns]."""
        sampling = 0 if self.sampling is None else to_span(self.sampling, "sampling")
        return _SENDINGS * to_span(self.every, "every") + sampling

    async def _listen(self, fail: Fail) -> AsyncGenerator[Any, None]:
        asyncua = import_optional("asyncua", extra="opcua")
        client = asyncua.Client(self.url, timeout=_ANSWER, watchdog_intervall=_WATCHDOG)
        client.session_timeout = _SESSION
        if self.user:
            client.set_user(self.user)
            client.set_password(read_secret(self.password, "OpcUa: password"))
        names = {asyncua.ua.NodeId.from_string(node): name for name, node in self._pairs()}
        changes = _Changes(names, self.info, fail)
        client.connection_lost_callback = changes.lose
        await self._connect(asyncua, client)
        transport = client.uaclient.protocol.transport
        try:
            await self._subscribe(asyncua, client, changes, list(names))
            yield
            held = self._held()
            while True:
                if not await changes.wait():
                    # what is older may still lie at the server
                    yield Reading(np.empty(0, self.info.dtype), bounds=(now_ns() - held, now_ns()))
                for reading in changes.take():
                    yield reading
        finally:
            if not changes.gone:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE):
                        await client.disconnect()
            # asyncua leaves one open whose server does not answer
            transport.abort()

    async def _connect(self, asyncua: Any, client: Any) -> None:
        try:
            async with asyncio.timeout(_CONNECT):
                await client.connect()
        except (OSError, TimeoutError, asyncua.ua.UaError) as error:
            client.disconnect_socket()
            if any(name in f"{type(error).__name__} {error}" for name in _DENIED):
                msg = (
                    f"opcua: {self.url} refuses access ({error_line(error)}); give user= and "
                    "password="
                )
                raise DeviceBusyError(msg) from error
            raise unreachable("opcua", self.url, error) from error

    async def _subscribe(
        self, asyncua: Any, client: Any, changes: "_Changes", nodes: list[Any]
    ) -> None:
        subscription = await client.create_subscription(to_span(self.every, "every") / 1e6, changes)
        sampling = 0.0 if self.sampling is None else to_span(self.sampling, "sampling") / 1e6
        results = await subscription.subscribe_data_change(
            list(map(client.get_node, nodes)), queuesize=self.queue, sampling_interval=sampling
        )
        pairs = zip(self._pairs(), results, strict=True)
        refused = asyncua.ua.StatusCode
        bad = [(pair, result) for pair, result in pairs if isinstance(result, refused)]
        if bad:
            (name, node), status = bad[0]
            msg = (
                f"opcua: {self.url} refuses {name} ({node}): {status.name}; see the node's "
                "identifier in a browser of OPC UA"
            )
            raise DeviceNotFoundError(msg)


class _Change(NamedTuple):
    """A value as it came: its time [ns], the sample, and how many were lost before it."""

    time: int | None
    sample: tuple[str, Any, bool] | None
    lost: int


class _Changes:
    """What the server has sent, until it is taken; its methods are called by asyncua.

    Attributes
    ----------
    gone
        Whether the connection is lost.
    """

    def __init__(self, names: Mapping[Any, str], info: StreamInfo, fail: Fail) -> None:
        self._names, self._info, self._fail = names, info, fail
        self._value = info.dtype["value"]
        self._waiting: list[tuple[str, Any]] = []
        self._came = asyncio.Event()
        self._known, self._misfits = set[str](), set[str]()
        self._lost = 0
        self._reason: BaseException | str = ""
        self.gone = False

    def datachange_notification(self, node: Any, _: Any, data: Any) -> None:
        """Take a change."""
        self._waiting.append((self._names[node.nodeid], data.monitored_item.Value))
        self._came.set()

    def status_change_notification(self, status: Any) -> None:
        """Take the end of the subscription."""
        self._reason = f"the server has ended the subscription ({status})"
        self._came.set()

    async def lose(self, error: BaseException) -> None:
        """Take the loss of the connection."""
        self._reason, self.gone = error, True
        if isinstance(error, TimeoutError):
            self._reason = f"the server has not answered within {_WATCHDOG:g} s"
        self._came.set()

    async def wait(self) -> bool:
        """Wait until something came, or for a heartbeat; return whether it did.

        Raise ConnectionError if nothing will come any more.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEAT):
                await self._came.wait()
        came = self._came.is_set()
        self._came.clear()
        if self._reason and not self._waiting:
            if isinstance(self._reason, BaseException):
                raise self._reason
            raise ConnectionError(self._reason)
        if self._reason:
            self._came.set()
        return came

    def take(self) -> list[Reading]:
        """Return what came, in the order of its times."""
        waiting, self._waiting = self._waiting, []
        changes = sorted(
            (self._change(name, value) for name, value in waiting),
            key=lambda change: -1 if change.time is None else change.time,
        )
        groups: list[tuple[int, list[Any], list[int | None]]] = []
        for change in changes:
            self._lost += change.lost
            if change.sample is None:
                continue
            # a reading has a time for each sample, or none, and what was lost before it
            if not groups or self._lost or (groups[-1][2][0] is None) != (change.time is None):
                groups.append((self._lost, [], []))
                self._lost = 0
            groups[-1][1].append(change.sample)
            groups[-1][2].append(change.time)
        return [self._reading(*group) for group in groups]

    def _reading(self, lost: int, samples: list[Any], times: list[int | None]) -> Reading:
        stamps = None if times[0] is None else np.array(times, np.int64)
        return Reading(np.array(samples, self._info.dtype), device_time=stamps, lost=lost or None)

    def _change(self, name: str, given: Any) -> _Change:
        status = given.StatusCode
        lost = 0
        if status is not None and status.value & _OVERFLOW == _OVERFLOW:
            lost = 1
            msg = (
                f"opcua: the server has dropped changes of {name}, one at least; give a larger "
                "queue=, or a shorter every="
            )
            self._fail(OverrunError(msg))
        time = _nanoseconds(given.SourceTimestamp)
        if name not in self._known:
            # it may have been so for days
            self._known.add(name)
            time = None
        try:
            value = self._fitted(None if given.Value is None else given.Value.Value)
        except ValueError as error:
            if name not in self._misfits:
                self._misfits.add(name)
                msg = f"opcua: {name}: {error}; from now on such values are only counted"
                self._fail(OverrunError(msg))
            return _Change(time, None, lost + 1)
        return _Change(time, (name, value, status is None or status.is_good()), lost)

    def _fitted(self, value: Any) -> Any:
        """Return a value as one of the dtype; raise ValueError if it is none."""
        kind = self._value.base.kind
        if value is None and kind in "fU":
            value = np.full(self._value.shape, math.nan if kind == "f" else "", self._value.base)
        elif kind == "U":
            value = str(value)
        elif kind != "b" and isinstance(value, bool):
            value = int(value)
        array = fit(value, self._value.base)
        if array.shape != self._value.shape:
            msg = f"{shown(value)} has the shape {array.shape}, not {self._value.shape}; see dtype="
            raise ValueError(msg)
        return array if array.shape else array[()]


def _nanoseconds(when: dt.datetime | None) -> int | None:
    """Return a time of the server, which is UTC, as ns."""
    if when is None:
        return None
    return ((when if when.tzinfo else when.replace(tzinfo=dt.UTC)) - _EPOCH) // _MICROSECOND * 1000
