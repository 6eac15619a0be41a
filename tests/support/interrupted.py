"""Ctrl-C, and a signal handler that closes the device, at each line of what a program calls.

As a program it takes an action, a way, a step and a limit [s], after which it shows what hangs.
"""

import dis
import faulthandler
import gc
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

import numpy as np

import rxstream
from rxstream import Device, StreamInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import RxStreamError

__all__ = ["ACTIONS", "AtLine", "Counted"]

ROOT = str(Path(rxstream.__file__).parent)
INFO = StreamInfo("x", rate=1000.0, dtype=np.dtype(np.int64))


class Counted:
    """A source that counts its openings and closings, and emits before its `open` returns."""

    def __init__(self) -> None:
        self.info = INFO
        self.opened = self.closed = 0
        self.emit: Emit = lambda _: None

    def open(self, emit: Emit, _fail: Fail) -> Close:
        self.emit = emit
        emit(np.arange(10))
        # what interrupts it before is its own to clean up
        self.opened += 1
        return self._close

    def _close(self) -> None:
        self.closed += 1


class AtLine:
    """Calls a function in this thread at the line of the package with a certain number.

    Lines of finalizers do not count: what they raise goes nowhere. Nor does the line of a `with`
    as its block is left: Python looks for signals after calls and jumps, which are inside the block
    or after it, and a trace function that raises there would keep a lock held for ever.
    """

    def __init__(self, number: int, call: Callable[[], None]) -> None:
        self._left, self._call = number, call
        self.where = ""

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        code = frame.f_code
        ours = code.co_filename.startswith(ROOT) and code.co_name not in ("__del__", "forget")
        return self._at if ours and not self.where else None

    def _at(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event != "line" or self.where or _in_finalizer(frame):
            return self._at
        if frame.f_lasti in _exits(frame.f_code):
            return self._at
        self._left -= 1
        if self._left < 0:
            self.where = f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_lineno}"
            sys.settrace(None)
            self._call()
        return self._at


@cache
def _exits(code: CodeType) -> frozenset[int]:
    """Return where the blocks of `with` are left without an error, as offsets in the bytecode.

    It calls ``__exit__(None, None, None)`` there, with the line of the `with`.
    """
    found = set[int]()
    steps = list(dis.get_instructions(code))
    for at in range(len(steps) - 3):
        call = steps[at + 3 if steps[at + 3].opname != "PRECALL" else at + 4]
        if all(map(_is_none, steps[at : at + 3])) and (call.opname, call.arg) == ("CALL", 2):
            found.add(steps[at].offset)
            # what is returned is put below them first
            if steps[at - 1].opname == "SWAP":
                found.add(steps[at - 1].offset)
    return frozenset(found)


def _is_none(step: dis.Instruction) -> bool:
    return step.opname == "LOAD_CONST" and step.argval is None


def _in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def in_block(device: Device) -> None:
    with device:
        pass


ACTIONS: dict[str, Callable[[Device], object]] = {
    "open": lambda device: device.open(),
    "with": in_block,
    "close": lambda device: device.close(),
    "subscribe": lambda device: device.subscribe(lambda _: None),
    "last": lambda device: device.last(0.005),
    "wait": lambda device: device.wait(0.001),
}


def interrupt() -> None:
    raise KeyboardInterrupt


def run(action: str, number: int, way: str) -> str:
    """Run an action that is interrupted at one line; return which, or "" if it has fewer."""
    source = Counted()
    device = Device(source)
    if action not in ("open", "with"):
        device.open()

    def handle() -> None:
        with suppress(RxStreamError):
            device.close(drain=0.2)

    begin = time.monotonic()
    with (
        suppress(KeyboardInterrupt, RxStreamError, TimeoutError),
        AtLine(number, interrupt if way == "ctrl-c" else handle) as line,
    ):
        ACTIONS[action](device)
    device.close(drain=1)
    place = f"{action}, {way} at {line.where}"
    assert time.monotonic() - begin < 4, place
    assert device.state == "closed", place
    assert source.closed == source.opened, place
    check_use(device, source, place)
    return line.where


def check_use(device: Device, source: Counted, place: str) -> None:
    """Check that the device can be used afterwards."""
    got: list[Any] = []
    device.subscribe(got.append)
    device.open()
    assert device.state == "open", place
    source.emit(np.arange(10))
    device.close(drain=1)
    assert source.closed == source.opened, place
    assert sum(map(len, got)) == 20, place


def interrupt_all(action: str, way: str, step: int) -> int:
    """Interrupt an action at each line, or at each ``step``-th; return how many it has, or so."""
    number = 0
    while run(action, number, way):
        number += step
    gc.collect()
    return number


if __name__ == "__main__":
    faulthandler.dump_traceback_later(float(sys.argv[4]), exit=True)
    assert interrupt_all(sys.argv[1], sys.argv[2], int(sys.argv[3]))
