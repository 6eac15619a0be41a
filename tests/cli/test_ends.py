"""How the command line ends: by signals, with a terminal that goes, and with what failed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from plugins import install_plugins
from programs import running

from rxstream import Device
from rxstream.acquisition.failures import note_failure
from rxstream.cli import app
from rxstream.devices.can import Can
from rxstream.errors import DeviceLostError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

COMMAND = [sys.executable, "-u", "-m", "rxstream.cli.app"]
SIGNALS = ["SIGTERM", "SIGHUP"]


def check_files(folder: Path) -> None:
    """The files of the demo are complete: read to their ends by the usual readers."""
    sound, rate = soundfile.read(folder / "microphone.wav")
    assert len(sound) > 0.5 * rate
    messages: list[int] = []
    log = Device(Can(folder / "can.blf"))
    log.subscribe(lambda chunk: messages.append(len(chunk)))
    with log:
        assert log.wait(20)
    assert sum(messages) > 50
    import cv2

    video = cv2.VideoCapture(str(folder / "camera.avi"))
    frames = 0
    while video.read()[0]:
        frames += 1
    rows = (folder / "camera.avi.times.csv").read_text().splitlines()
    assert frames == len(rows) - 1 > 10


@pytest.mark.parametrize("name", SIGNALS)
def test_the_demo_completes_its_files(name: str, tmp_path: Path) -> None:
    with running([*COMMAND, "demo", "--simulated", "--out", str(tmp_path)]) as process:
        assert process.stdout is not None
        while "samples so far" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(getattr(signal, name))
        output, errors = process.communicate(timeout=40)
    assert process.returncode == 128 + getattr(signal, name), output + errors
    assert "Traceback" not in errors
    assert "closing" in output
    check_files(tmp_path)


@pytest.mark.parametrize("name", SIGNALS)
def test_watch_ends_in_order(name: str) -> None:
    with running([*COMMAND, "watch", "simulated"]) as process:
        assert process.stdout is not None
        assert "simulated open" in process.stdout.readline()
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + getattr(signal, name)
    assert errors == ""


@pytest.mark.parametrize("command", ["watch simulated", "demo --simulated --out {out}"])
def test_a_terminal_that_goes_ends_it(command: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    master, slave = os.openpty()
    script = (
        "import fcntl, sys, termios\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "from rxstream.cli.app import main\n"
        "main(sys.argv[1:])"
    )
    arguments = command.format(out=out).split()
    with running(
        [sys.executable, "-c", script, *arguments],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(slave)
        seen = b""
        while b"behind" not in seen or len(seen) < 8000:
            assert process.poll() is None
            seen += os.read(master, 65536)
        os.close(master)
        assert process.wait(40) == 129
    if "demo" in command:
        check_files(out)


def test_a_reader_that_goes_ends_watch() -> None:
    """As in ``rxstream watch simulated | head -1``."""
    with running([*COMMAND, "watch", "simulated"]) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 1
        assert "Traceback" not in process.stderr.read()


# -- what failed --------------------------------------------------------------------------------


def test_a_device_that_fails_is_the_exit_code(tmp_path: Path) -> None:
    install_plugins(tmp_path)
    result = subprocess.run(
        [*COMMAND, "watch", "evil", "simulated:duration=0.3", "--seconds", "1.5"],
        capture_output=True, text=True, check=False, timeout=50,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 1
    assert "failed: " in result.stderr
    assert "OSError: evil" in result.stderr
    assert "failed: " not in result.stdout
    assert "simulated ended" in result.stdout


def failing(_arguments: list[str] | None, prog_name: str) -> None:
    note_failure("a.wav", DeviceLostError("the disk is\x1b[2J full"))
    sys.exit(0)


@pytest.mark.parametrize("code", [0, 3])
def test_what_failed_unnoticed_is_the_exit_code(
    code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> Callable[..., None]:
        return failing if code == 0 else lambda *_, **__: sys.exit(code)

    monkeypatch.setattr(app, "make_app", run)
    before = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    try:
        with pytest.raises(SystemExit) as end:
            app.main(["watch"])
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
    assert end.value.code == (code or 1)
    errors = capsys.readouterr().err
    want = "failed: a.wav: DeviceLostError: the disk is\\x1b[2J full\n"
    assert errors == (want if code == 0 else "")


def test_names_are_no_marks(tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "watch", "simulated:name=[/] [bold]:smile:", "--seconds", "0.5"],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "[/] [bold]:smile: open" in result.stdout


def test_devices_lists_the_broken_beside_the_others(tmp_path: Path) -> None:
    good = install_plugins(tmp_path)
    result = subprocess.run(
        [*COMMAND, "devices"], capture_output=True, text=True, check=False, timeout=50,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for text in ("exits", "SystemExit: 3", "simulated", "always there", *good):
        assert text in result.stdout


def test_devices_names_who_hangs(tmp_path: Path) -> None:
    install_plugins(tmp_path, hanging=True)
    result = subprocess.run(
        [*COMMAND, "devices"], capture_output=True, text=True, check=False, timeout=50,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "discover() of <class 'p_good.Hangs'> has not returned within 10 s" in result.stdout
    assert "simulated  always there" in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["watch", "simulated", "--seconds", "2"], ["devices"]])
def test_output_that_cannot_be_written_is_one_line(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=50,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "Error: the output cannot be written: no space left there"
