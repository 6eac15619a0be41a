"""Faults of a device's life, of concurrency, memory, stamps, files and the terminal."""

import sys
from pathlib import Path

import pytest
from fault_programs import cases, run_program

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="forks, signals, /proc"
)

PROGRAMS = {
    "base_exception": "",
    "bogus_stamp_live": "",
    "bogus_stamps_in_log": "",
    "close_elsewhere": "",
    "close_hangs": "",
    "detect_gaps_depends_on_cut": "",
    "disk_full_flac": "",
    "disk_full_video": "",
    "fork_while_locked": "",
    "forgotten_reader": "",
    "hole_after_close": "",
    "keyboard_dies": "",
    "killed": "",
    "one_close_raises_at_exit": "",
    "opened_twice": "",
    "reconnect_dies": "",
    "resample_depends_on_cut": "",
    "rewind_to_the_future": "",
    "slow_faults_subscriber": "",
    "slow_subscribers_hold_batches": "",
    "stamps_not_counted": "",
    "terminal_escapes": "",
    "terminated": "",
    "window_out_of_order": "",
}
REAL = """
    base_exception close_elsewhere close_hangs fork_while_locked forgotten_reader hole_after_close
    keyboard_dies killed one_close_raises_at_exit opened_twice reconnect_dies rewind_to_the_future
    slow_faults_subscriber slow_subscribers_hold_batches stamps_not_counted terminal_escapes
    terminated
"""


@pytest.mark.parametrize("name", cases(PROGRAMS, REAL))
def test_right(name: str) -> None:
    run_program(Path(__file__).parent / "programs" / f"{name}.py")


def test_every_program_is_run() -> None:
    assert {path.stem for path in (Path(__file__).parent / "programs").glob("*.py")} == {*PROGRAMS}
