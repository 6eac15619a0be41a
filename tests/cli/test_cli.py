"""The commands: devices, watch, and what they say when something is wrong."""

import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import Manual
from rich.console import Console
from typer.testing import CliRunner

import rxstream
from rxstream import Device
from rxstream.cli.app import make_app
from rxstream.cli.watch import stats_table, watch
from rxstream.devices.simulated import Simulated

pytestmark = pytest.mark.real

runner = CliRunner()


def test_devices_lists_what_there_is() -> None:
    result = runner.invoke(make_app(), ["devices"])
    assert result.exit_code == 0
    names = ("audio", "camera", "can", "simulated  always there", "mqtt:topics=…", "rxstream watch")
    for name in names:
        assert name in result.stdout


def test_devices_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)
    result = runner.invoke(make_app(), ["devices"])
    assert result.exit_code == 0
    assert "pip install 'rxstream[can]'" in result.stdout


def test_devices_explains_options() -> None:
    result = runner.invoke(make_app(), ["devices", "simulated"])
    assert result.exit_code == 0
    assert "ppm, drift, wander" in result.stdout


def test_watch_shows_streams_and_readers() -> None:
    arguments = [
        "watch",
        "simulated:rate=1000",
        "simulated:rate=50,name=slow,irregular=yes",
        "--seconds",
    ]
    result = runner.invoke(make_app(), [*arguments, "1.3"])
    assert result.exit_code == 0, result.output
    # on a busy machine it may have come so far as to know its rate
    assert re.search(r"simulated open: \d+ samples, (measuring|[\d.]+ Hz)", result.stdout)
    assert re.search(r"slow open: \d+ samples, [\d.]+ /s", result.stdout)
    assert "watch" in result.stdout
    assert ", 0 lost" in result.stdout


def test_watch_names_devices_of_one_kind_apart_and_ends_with_them() -> None:
    result = runner.invoke(
        make_app(), ["watch", "simulated:duration=0.4", "simulated:duration=0.5"]
    )
    assert result.exit_code == 0, result.output
    assert "simulated ended" in result.stdout
    assert "simulated 2 ended" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["watch", "telescope"], ["'telescope'", "audio"]),
        (["watch", "simulated:rte=3"], ["'rte'", "did you mean rate?"]),
        (["watch", "simulated:rate=fast"], ["a number", "'fast'"]),
        (["watch", "camera:source=nothing.mp4"], ["nothing.mp4"]),
        (["devices", "telescope"], ["'telescope'"]),
        (["demo", "--seconds", "1"], ["4 to 3600", "1"]),
        (["demo", "--out", "{file}/x"], ["cannot make the folder", "--out"]),
    ],
)
def test_errors_are_a_line(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    arguments = [a.replace("{file}", str(tmp_path / "file")) for a in arguments]
    result = runner.invoke(make_app(), arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr


def test_the_version_is_that_of_the_package() -> None:
    result = runner.invoke(make_app(), ["--version"])
    assert result.exit_code == 0
    assert result.stdout.strip() == f"rxstream {rxstream.__version__}"
    assert re.match(r"\d+\.\d+", rxstream.__version__)


@pytest.mark.parametrize("command", ["demo", "watch"])
def test_help_says_the_unit_of_time(command: str) -> None:
    result = runner.invoke(make_app(), [command, "--help"])
    assert "How long in seconds" in " ".join(result.stdout.split())


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['typer'] = None\n"
        "from rxstream.cli.app import main; main(['devices'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 1
    assert b"pip install 'rxstream[cli]'" in result.stderr
    assert b"Traceback" not in result.stderr


def test_the_command_line_loads_no_driver_for_help() -> None:
    code = (
        "import sys\nfrom rxstream.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([n for n in ('cv2', 'sounddevice', 'can', 'matplotlib') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert "Commands" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_watch_on_a_terminal_is_a_table_with_faults() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    device = Simulated(rate=1000.0, unplugs=((0.3, 0.2),), duration=0.9)
    assert watch(console, [Device(device, name="mic", reconnect=0.1)], None) == 0
    text = out.getvalue()
    # lost, and in vain opened again if there was time
    assert re.search(r"last fault: simulated (is|was) unplugged", text)
    for word in ("stream", "behind", "mic", "watch"):
        assert word in text


def test_watch_of_a_device_that_is_lost_fails() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    device = Simulated(rate=1000.0, unplugs=((0.2, 5.0),))
    assert watch(console, [Device(device, name="mic")], None) == 1
    assert "mic failed: simulated was unplugged" in out.getvalue()


def test_the_table_fits_a_narrow_terminal() -> None:
    with Device(Simulated(rate=48_000.0), name="microphone") as device:
        with device.reader() as reader:
            reader.read(1000, timeout=10)
        subscription = device.subscribe(lambda _: None)
        table = stats_table([device.stats()], 1.0, ["a fault"])
        subscription.dispose()
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    lines = out.getvalue().splitlines()
    assert len(lines) == 5
    assert all(len(line) <= 80 and "…" not in line for line in lines)


def test_ctrl_c_ends_watch_cleanly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c",
         "from rxstream.cli.app import main; main(['watch', 'simulated'])"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "simulated open" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_driver_that_cannot_be_closed_keeps_no_other_open() -> None:
    class Stuck(Manual):
        """A driver whose `close` raises."""

        def open(self, emit: Any, fail: Any) -> Any:
            super().open(emit, fail)

            def close() -> None:
                raise OSError("no such ioctl")

            return close

    stuck, other = Device(Stuck(), name="stuck"), Device(Manual(), name="other")
    written = io.StringIO()
    assert watch(Console(file=written), [stuck, other], 0.1) == 1
    assert other.state == "closed"
    assert "stuck failed: " in written.getvalue()
    assert "no such ioctl" in written.getvalue()
