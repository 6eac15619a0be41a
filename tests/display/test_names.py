"""Names and notes that come from hardware cannot steer what shows them, wherever that is."""

import io
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from plugins import install_plugins
from rich.console import Console

import rxstream
from rxstream import Chunk, Clip, Device, Missing, StreamInfo, TimeWindowSubject
from rxstream import operators as ops
from rxstream.cli.watch import stats_line, stats_table
from rxstream.demo.inputs import Input
from rxstream.demo.show import Display, introduce
from rxstream.demo.story import Plan
from rxstream.devices.keyboard import KEY_DTYPE
from rxstream.sinks import Sink, csv
from rxstream.validation import checked_name

EVIL = "evil\x1b]0;pwned\x07\x1b[2J\x9b2J\u202e\r\n[/][bold]:smile:$a_{$" + "x" * 10_000
# What steers a terminal, or turns a line around; other escapes may be those of a table's colors.
_STEERING = re.compile(
    "\x1b\\]|\x1b\\[2J|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
INFO = StreamInfo(EVIL, 10.0, dtype=float, unit=EVIL, channels=(EVIL,), extra={"note": EVIL[:50]})
CHUNK = Chunk.regular(np.arange(3.0), INFO, start=0)


class Source:
    """Says its evil name in everything it can say."""

    info = INFO

    def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
        emit(np.zeros(5))
        threading.Thread(target=fail, args=(OSError(EVIL),)).start()
        return lambda: None


class Broken(Sink):
    def write(self, chunk: Chunk) -> None:
        raise OSError(EVIL)

    def finish(self) -> None:
        pass


@pytest.fixture
def device(caplog: pytest.LogCaptureFixture) -> Iterator[Device]:
    """A device that has failed, with a subscriber and a sink of evil names."""
    found = Device(Source(), name=EVIL)
    errors: list[Exception] = []
    found.on_lag("gap", name=EVIL).subscribe(lambda _: None, errors.append)
    found.subscribe(Broken(EVIL))
    with found, found.reader(name=EVIL):
        assert eventually(lambda: errors)
        yield found


def on_a_terminal(show: Callable[[Console], object]) -> str:
    out = io.StringIO()
    show(Console(file=out, force_terminal=True, width=100, color_system=None))
    return out.getvalue()


def error_of(function: Callable[[], object]) -> str:
    with pytest.raises(Exception) as caught:
        function()
    return str(caught.value)


def demo(device: Device) -> str:
    def show(console: Console) -> None:
        introduce(console, Plan.of(4.0), [Input("can", device, EVIL, EVIL)])
        Display(console, 4.0).emit(logging.makeLogRecord({"msg": EVIL}))

    return on_a_terminal(show)


CLIP = Clip((EVIL,), (0,), 0, 10**9, {"evil": CHUNK}, (Missing("mic", 0, 5, "late"),))

OF_A_DEVICE: dict[str, Callable[[Device], str]] = {
    "repr": repr,
    "info": lambda device: repr(device.info),
    "name": lambda device: device.name,
    "stats": lambda device: str(device.stats()),
    "repr of stats": lambda device: repr(device.stats()),
    "watch, lines": lambda device: stats_line(device.stats()),
    "watch, table": lambda device: on_a_terminal(
        lambda console: console.print(stats_table([device.stats()], 1.0, [EVIL]))
    ),
    "demo": demo,
    "view": lambda device: repr(device.on_lag("gap", name=EVIL)),
    "pipe": lambda device: repr(device.pipe(ops.rechunk(3))),
    "reader": lambda device: repr(device.reader(name=EVIL)),
    "error of last": lambda device: error_of(lambda: device.at(-(10**18))),
    "error of rewind": lambda device: error_of(lambda: device.rewind(10**6).subscribe(print)),
}  # fmt: skip

OTHERS: dict[str, Callable[[], str]] = {
    "chunk": lambda: repr(CHUNK),
    "html": CHUNK._repr_html_,
    "clip": lambda: repr(CLIP),
    "subject": lambda: repr(TimeWindowSubject(1.0, name=EVIL)),
    "sink": lambda: repr(Broken(EVIL)),
    "file": lambda: repr(csv("evil\x1b[2J\u202e.csv")),
    "error of data": lambda: error_of(lambda: Chunk.regular(np.zeros(3, int), INFO, start=0)),
    "error of a join": lambda: error_of(lambda: CHUNK[2:] + CHUNK[:2]),
    "names are checked": lambda: checked_name(EVIL, "name"),
}


def check(text: str, most: int = 6000) -> None:
    assert "evil" in text
    found = _STEERING.search(text)
    assert found is None, text[max(0, found.start() - 50) :][:200]
    assert len(text) < most


@pytest.mark.slow
@pytest.mark.parametrize("place", OF_A_DEVICE)
def test_of_a_device(place: str, device: Device) -> None:
    check(OF_A_DEVICE[place](device))


@pytest.mark.slow
def test_in_log_and_faults(caplog: pytest.LogCaptureFixture) -> None:
    faults: list[object] = []
    found = Device(Source(), name=EVIL)
    found.faults.subscribe(faults.append)
    sink = Broken(EVIL)
    found.subscribe(sink)
    with found:
        assert eventually(lambda: faults and sink.closed)
    assert caplog.records
    for record in caplog.records:
        check(record.getMessage())
        # what a handler writes, with its traceback
        check(logging.Formatter().format(record), 10_000)
    for fault in faults:
        check(str(fault))
    for failure in rxstream.failed():
        assert _STEERING.search(failure) is None


@pytest.mark.parametrize("place", OTHERS)
def test_of_something_else(place: str) -> None:
    check(OTHERS[place]())


def test_the_labels_of_a_plot() -> None:
    figure: Any = CHUNK.plot().figure
    figure.savefig(io.BytesIO())
    texts = [label for ax in figure.axes for label in (ax.get_ylabel(), ax.get_title())]
    assert any("evil" in text for text in texts)
    for text in texts:
        assert _STEERING.search(text) is None


def test_keys_in_a_plot() -> None:
    keys = np.zeros(3, KEY_DTYPE)
    keys["key"] = ["\x1b[2J", "a", "\u202e$a_{$"]
    info = StreamInfo("keys", dtype=KEY_DTYPE)
    chunk = Chunk.stamped(keys, [1, 2, 3], info)
    ax: Any = chunk.plot()
    ax.figure.savefig(io.BytesIO())
    shown = "".join(label.get_text() for label in ax.get_yticklabels())
    for text in (shown, chunk._repr_html_()):
        assert _STEERING.search(text) is None
        assert r"\x1b[2J" in text


@pytest.mark.slow
def test_on_the_command_line(tmp_path: Path) -> None:
    install_plugins(tmp_path)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "NO_COLOR": "1",
    }  # fmt: skip
    for arguments, code in (
        (["devices"], 0), (["devices", "evil"], 0), (["watch", "evil", "--seconds", "0.3"], 1),
        (["devices", "exits"], 2), (["watch", "made_exits"], 2), (["watch", "\x1b[2Jevil"], 2),
    ):  # fmt: skip
        result = subprocess.run(
            [sys.executable, "-m", "rxstream.cli.app", *arguments],
            capture_output=True, text=True, check=False, env=environment, timeout=50,
        )  # fmt: skip
        text = result.stdout + result.stderr
        assert result.returncode == code, text
        assert "Traceback" not in text
        assert _STEERING.search(text) is None
        assert "evil" in text.lower() or "exits" in text
        if arguments == ["watch", "evil", "--seconds", "0.3"]:
            assert r"failed: evil\x1b]0;pwned\x07" in result.stderr
