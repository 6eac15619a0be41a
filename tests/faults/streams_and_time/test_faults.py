"""Faults of the clock model, of streams that meet RxPY, of order and of what is forgotten."""

from pathlib import Path

import pytest
from fault_programs import cases, run_program

ROOT = Path(__file__).parents[3]
PROGRAMS = {
    "close_in_joined_subscriber": "",
    "disposed_subject": "",
    "forgotten_subject": "",
    "gaussian_jitter": "",
    "nan_poisons_filter": "",
    "offline_slope": "",
    "replay_window_shares": "",
    "retry_spins": "",
    "rewind_after_close": "",
    "software_paced_sensor": "",
    "subject_going_back": "",
}
REAL = """
    close_in_joined_subscriber forgotten_subject replay_window_shares retry_spins rewind_after_close
"""


@pytest.mark.parametrize("name", cases(PROGRAMS, REAL))
def test_right(name: str) -> None:
    run_program(Path(__file__).parent / "programs" / f"{name}.py")


def test_every_program_is_run() -> None:
    assert {path.stem for path in (Path(__file__).parent / "programs").glob("*.py")} == {*PROGRAMS}


def test_docs_say_what_share_takes_away() -> None:
    assert "share()" in (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")


def test_docs_say_that_boundaries_of_another_thread_lose() -> None:
    text = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
    assert "buffer(boundaries)" in text
