"""Readers: pulled from, for loops and asyncio."""

import asyncio
from typing import Any

import pytest
from fakes import ramp
from reactivex.scheduler import ImmediateScheduler

from rxstream.window.log import Log
from rxstream.window.reader import Reader, iterate_async

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def test_a_reader_on_a_dead_loop_harms_nobody() -> None:
    class Closed(asyncio.SelectorEventLoop):  # a stand-in: the race itself is too short to hit
        def call_soon_threadsafe(self, *_args: Any, **_options: Any) -> Any:
            raise RuntimeError("Event loop is closed")

    async def run() -> None:
        log = Log(10**12, 1 << 30, "x")
        items = iterate_async(lambda: Reader(log))
        task = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)  # it waits for the first chunk
        log.append(ramp(0, 1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await items.aclose()  # type: ignore[attr-defined]

    loop = Closed()
    loop.run_until_complete(run())
    loop.close()
