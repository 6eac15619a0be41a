"""Controllers: the servers of python-snap7, pymodbus and asyncua; as a program, one to kill."""

import asyncio
import contextlib
import datetime as dt
import itertools
import struct
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

__all__ = ["ModbusSlave", "OpcServer", "S7Controller"]

# How long a program may take to start on a busy machine [s].
_START = 60.0


def _free_port() -> int:
    # a process of its own is given one, and starts sooner without what this loads
    from counterparts import free_port

    return free_port()


class S7Controller:
    """A controller of python-snap7; ``DB1.DBD0`` counts how often ``DB1`` was read.

    Parameters
    ----------
    first
        What it counts from.
    """

    def __init__(self, port: int = 0, first: int = 0) -> None:
        self.port = port or _free_port()
        self.data, self.markers = bytearray(512), bytearray(64)
        self._numbers = itertools.count(first)

    def __enter__(self) -> Self:
        from snap7.server import Server
        from snap7.type import SrvArea

        self._server, self._areas = Server(log=False), SrvArea
        self._server.set_read_events_callback(lambda _: self._count())
        self.show()
        self._server.register_area(SrvArea.MK, 0, self.markers)
        self._count()
        self._server.start_to("127.0.0.1", self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def show(self) -> None:
        self._server.register_area(self._areas.DB, 1, self.data)

    def hide(self) -> None:
        """Have no DB1, as while a program is loaded."""
        self._server.unregister_area(self._areas.DB, 1)

    def deny(self) -> None:
        """Answer as a controller without PUT/GET; this server has no such setting."""
        server: Any = self._server
        server._handle_read_area = lambda request, _: server._build_error_response(request, 0x8104)

    def _count(self) -> None:
        self.data[0:4] = struct.pack(">i", next(self._numbers))


class _InLoop:
    """Something of asyncio, in a thread of its own."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self.run(self.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self.stop())
        finally:
            self._end()

    def _end(self) -> None:
        self.run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START)

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError


async def _cancel_all() -> None:
    """Cancel what a server has left, as of connections that were cut."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class ModbusSlave(_InLoop):
    """A slave of pymodbus; holding registers 0 and 1 count how often they were read.

    Parameters
    ----------
    first
        What it counts from.
    serial
        Path of a serial line, for RTU; empty: TCP.
    registers
        Further holding registers, from 2 on.

    Attributes
    ----------
    refuses
        Exception that it answers by, e.g. 6 (busy); 0: none.
    delays
        How long it works on an answer before and after it looks [s], again and again.
    looked
        When it did [ns of the host clock].
    """

    def __init__(
        self, port: int = 0, first: int = 0, serial: str = "", registers: tuple[int, ...] = ()
    ) -> None:
        self.port, self.serial = port or _free_port(), serial
        self.registers = (0, 0, *registers, *[0] * 20)
        self.refuses = 0
        self.delays: list[float] = []
        self.looked: list[int] = []
        self._numbers = itertools.count(first)

    async def start(self) -> None:
        from pymodbus.server import ModbusSerialServer, ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        bits = [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)]
        words = [SimData(0, values=list(self.registers), datatype=DataType.REGISTERS)]
        inputs = [SimData(0, values=[7] * 8, datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=(bits, bits, words, inputs), action=self._act)
        if self.serial:
            self._server: Any = ModbusSerialServer(device, port=self.serial, baudrate=115_200)
        else:
            self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        await self._server.shutdown()

    async def _act(
        self, function: int, start: int, address: int, count: int,
        registers: list[int], written: Any,
    ) -> Any:  # fmt: skip
        from pymodbus.constants import ExcCodes

        if self.refuses:
            return ExcCodes(self.refuses)
        if function == 3 and address == 0:
            number = next(self._numbers)
            high, low = divmod(number, 1 << 16)
            if self.delays:
                from rxstream.data.clock import now_ns

                before, after = (self.delays[(number + k) % len(self.delays)] for k in (0, 1))
                await asyncio.sleep(before)
                self.looked.append(now_ns())
                await asyncio.sleep(after)
            registers[0 - start], registers[1 - start] = high, low
        return None


class OpcServer(_InLoop):
    """A server of asyncua with the variables ``ns=2;s=count``, ``text``, ``flag`` and ``point``.

    It takes anonymous clients, and ``lab`` with the password ``s3cret``.

    Parameters
    ----------
    every
        Time from one value of ``count`` to the next [s]; 0: none by itself.
    first
        What it counts from.

    Attributes
    ----------
    wrong
        By how much the clock of the source is ahead.
    """

    def __init__(self, port: int = 0, first: int = 0, every: float = 0.0) -> None:
        self.port = port or _free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}"
        self.first, self._every = first, every
        self.wrong = dt.timedelta(0)
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        from asyncua import ua
        from asyncua.server.server import Server

        self.ua: Any = ua
        self.server: Any = Server(user_manager=_users())
        await self.server.init()
        self.server.set_endpoint(self.url)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self.server.set_identity_tokens([ua.AnonymousIdentityToken, ua.UserNameIdentityToken])
        await self.server.register_namespace("urn:lab")
        values: dict[str, Any] = {
            "count": float(self.first), "text": "idle", "flag": False, "point": [0.0, 0.0, 0.0],
        }  # fmt: skip
        self._variables = {
            name: await self.server.nodes.objects.add_variable(self.ua.NodeId(name, 2), name, value)
            for name, value in values.items()
        }
        await self.server.start()
        if self._every:
            self._writing = asyncio.create_task(self._write_on())

    async def stop(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        await self.server.stop()

    def write(self, name: str, *values: Any, status: int = 0) -> list[int]:
        """Write values one after the other; return the times of their source [ns]."""
        return list(self.run(self._write_all(name, values, status)))

    def unplug(self) -> None:
        """Cut all connections, and take no more."""
        self.run(self._cut())

    def plug(self) -> None:
        """Take connections again."""
        self.run(self._take())

    async def _cut(self) -> None:
        self.server.bserver._server.close()
        for transport in list(self.server.iserver.asyncio_transports):
            transport.abort()

    async def _take(self) -> None:
        server, loop = self.server.bserver, asyncio.get_running_loop()
        server._server = await loop.create_server(server._make_protocol, "127.0.0.1", self.port)

    async def _write_all(self, name: str, values: tuple[Any, ...], status: int) -> list[int]:
        return [await self._write(name, value, status) for value in values]

    async def _write(self, name: str, value: Any, status: int = 0) -> int:
        when = dt.datetime.now(dt.UTC) + self.wrong
        data = self.ua.DataValue(self.ua.Variant(value), self.ua.StatusCode(status), when)
        await self._variables[name].write_value(data)
        return (
            (when - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1000
        )

    async def _write_on(self) -> None:
        for number in itertools.count(self.first):
            await self._write("count", float(number))
            await asyncio.sleep(self._every)


def _users() -> Any:
    """Return who may use the server."""
    from asyncua.crypto.permission_rules import User, UserRole
    from asyncua.server.user_managers import UserManager

    class Users(UserManager):
        def get_user(
            self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
        ) -> Any:
            known = username is None or (username, password) == ("lab", "s3cret")
            return User(role=UserRole.User) if known else None

    return Users()


KINDS: dict[str, Callable[[int, int], Any]] = {
    "s7": S7Controller,
    "modbus": ModbusSlave,
    "opcua": lambda port, first: OpcServer(port, first, every=0.01),
}


if __name__ == "__main__":
    with KINDS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])):
        # until who started it has closed the pipe, or ends
        sys.stdin.read()
