"""Run an async generator of an author as a source: the loop and its thread are the kit's."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.gate import Gate
from rxstream.authoring.phases import explain, explain_leaving, never_open
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import DeviceError, EndOfStream, ParameterError, RxStreamError

__all__ = ["MakeAsync", "open_async"]

MakeAsync = Callable[[Callable[[Any], None]], AsyncGenerator[Any, None]]
"""Makes the generator; takes the ``emit`` of an author."""

# How long nothing comes before a heartbeat [s].
_BEAT = 0.1

# Longest wait of `close` [s]; less than that of `Device.close` for a driver.
_TIMEOUT = 4.0


def open_async(
    make: MakeAsync,
    info: StreamInfo,
    emit: Emit,
    fail: Fail,
    *,
    requires: str = "",
    beats: bool = True,
) -> Close | tuple[Close, StreamInfo]:
    """Run an async generator in a thread of its own; return when it has yielded for the first time.

    Parameters
    ----------
    make
        Makes the generator.
    info
        Description of the stream, unless the first ``yield`` gives another.
    emit, fail
        Arguments of ``Source.open``.
    requires
        What to install by pip for the driver.
    beats
        Whether heartbeats come by themselves; not of a driver whose samples may be older.

    Returns
    -------
    close
        As ``Source.open`` returns it.

    Raises
    ------
    DeviceNotFoundError, DeviceBusyError, MissingExtraError
        For what the driver raises before the first ``yield``.
    ParameterError
        If there is none.
    """
    run = _Run(make, Gate(info, emit, fail), requires, beats=beats)
    learnt = run.open()
    return run.close if learnt is None else (run.close, learnt)


class _Run:
    """One run of an async generator, in one task from beginning to end.

    Its `emit`, if it has one, is called in the thread of the loop, as callbacks of asyncio are.
    """

    def __init__(self, make: MakeAsync, gate: Gate, requires: str, *, beats: bool) -> None:
        self._make, self._gate, self._requires, self._beats = make, gate, requires, beats
        self._name = gate.info.name
        self._opened = threading.Event()
        self._error: BaseException | None = None  # of opening, or of closing
        self._learnt: StreamInfo | None = None
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(
            target=self._main, name=f"rxstream-{self._name}", daemon=True
        )

    # -- the device's side --------------------------------------------------------------------

    def open(self) -> StreamInfo | None:
        self._thread.start()
        try:
            self._opened.wait()
        except BaseException:
            self._cancel()  # Ctrl-C
            raise
        error, self._error = self._error, None
        if error is not None:
            self._thread.join()
            raise error
        return self._learnt

    def close(self) -> None:
        self._gate.shut()
        self._cancel()
        if self._thread is threading.current_thread():
            return
        self._thread.join(_TIMEOUT)
        if self._thread.is_alive():
            msg = (
                f"{self._name}: it is slow in closing, more than {_TIMEOUT:g} s; it may still hold "
                "the device"
            )
            raise DeviceError(msg)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _cancel(self) -> None:
        stopping, self._stopping = self._stopping, True
        loop, task = self._loop, self._task
        # once: a second time would interrupt the driver as it closes
        if loop is not None and task is not None and not stopping:
            with suppress(RuntimeError):  # it is closed already
                loop.call_soon_threadsafe(task.cancel)

    # -- in the thread of the loop ------------------------------------------------------------

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever a driver raises as it is closed
            self._error = self._error or error
        finally:
            self._opened.set()

    async def _run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._stopping:
            return
        values = self._make(self._gate.put)
        try:
            if not await self._start(values):
                return
            self._opened.set()
            beat = asyncio.create_task(self._beat())
            try:
                await self._pass_all(values)
            finally:
                beat.cancel()
        finally:
            await self._leave(values)

    async def _start(self, values: AsyncGenerator[Any, None]) -> bool:
        """Run it up to its first ``yield``; return whether the device is open."""
        try:
            first = await anext(values)
        except StopAsyncIteration:
            self._error = never_open(self._name)
        except asyncio.CancelledError as error:
            if self._stopping:
                raise
            # the driver has cancelled itself, as it may with a timeout of its own
            self._error = explain(self._name, error, opening=True, requires=self._requires)
        except Exception as error:  # noqa: BLE001 - it is raised where the device is opened
            self._error = explain(self._name, error, opening=True, requires=self._requires)
        else:
            try:
                self._learnt = self._gate.begin(first)
            except ParameterError as error:
                self._error = error
            else:
                return True
        return False

    async def _pass_all(self, values: AsyncGenerator[Any, None]) -> None:
        """Pass every value until it ends, fails or is cancelled."""
        try:
            async for value in values:
                if self._stopping:
                    return
                try:
                    reading = self._gate.reading(value)
                except RxStreamError as error:
                    with suppress(StopAsyncIteration):
                        # raised where the value was yielded, so that the driver is closed, too
                        await values.athrow(error)
                    raise
                self._gate.pass_on(reading)
            self._gate.fail(EndOfStream())
        except BaseException as error:
            # SystemExit, too: else nothing would come any more, and nobody say why
            if self._stopping or isinstance(error, GeneratorExit):
                raise
            self._gate.fail(explain(self._name, error, opening=False, requires=self._requires))

    async def _beat(self) -> None:
        """Emit a heartbeat while nothing comes.

        Not beside stamps of the host clock, which may be older than that.
        """
        if self._gate.info.device_clock == "host" or not self._beats:
            return
        while True:
            passed = self._gate.passed
            await asyncio.sleep(_BEAT)
            if self._gate.passed == passed:
                self._gate.pass_on(self._gate.reading(None))

    async def _leave(self, values: AsyncGenerator[Any, None]) -> None:
        try:
            await values.aclose()
        except RuntimeError as error:
            explained = explain_leaving(self._name, error, "async with")
            if explained is None:
                raise
            raise explained from error
