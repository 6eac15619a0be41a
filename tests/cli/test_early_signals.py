"""Signals that come while the command line is still being loaded."""

import re
import signal
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

# Moments of each run: as many imports, spread over all of them.
MOMENTS = 5

# Runs the command, and sends itself a signal at one of its imports.
PROGRAM = """
import os, sys
import rxstream_cli

_, at, number, *arguments = sys.argv
imports = 0

def count(event, _):
    global imports
    if event == "import":
        imports += 1
        if imports == int(at):
            os.kill(os.getpid(), int(number))

sys.addaudithook(count)
sys.argv[1:] = arguments
try:
    rxstream_cli.main()
finally:
    print("imports:", imports, file=sys.stderr)
"""


def run(at: int, number: int, command: str) -> tuple[int, str]:
    """Return the exit code and the errors of a command that gets a signal at an import."""
    arguments = [str(at), str(number), *command.split()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=50,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", ["devices", "watch simulated --seconds 0", "--version"])
def test_a_signal_at_any_import_ends_it_plainly(command: str) -> None:
    code, errors = run(0, 0, command)
    assert code == 0
    found = re.search(r"imports: (\d+)", errors)
    assert found is not None
    imports = int(found[1])
    assert imports > 100
    for k in range(MOMENTS):
        # not the very last: what the end of a program loads is no beginning
        at = 1 + k * (imports - 20) // MOMENTS
        for number in (signal.SIGINT, signal.SIGTERM):
            code, errors = run(at, number, command)
            assert (at, code) == (at, 128 + number), errors
            assert "Traceback" not in errors


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As in a program that a shell has started in the background, or under ``nohup``."""
    program = (
        "import signal\n"
        "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
        f"    signal.signal(getattr(signal, name), signal.SIG_IGN)\n{PROGRAM}"
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        done = subprocess.run(
            [sys.executable, "-c", program, "50", str(int(number)), "--version"],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("rxstream ")
