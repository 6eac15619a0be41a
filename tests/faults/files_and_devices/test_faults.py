"""Faults of video, CAN logs, databases and sinks."""

import os
from pathlib import Path

import pytest
from fault_programs import cases, run_program

PROGRAMS = {
    "asc_encoding": "a log is read as UTF-8, strictly",
    "blf_object_of_size_0": "python-can stays at an object of size 0 (hardbyte/python-can#1584)",
    "container_messages": "messages in containers are not decoded",
    "cut_off_logs": "",
    "damaged_frame_over_http": "the first frame that cannot be read is taken for the end",
    "damaged_recording": "the first frame that cannot be read is taken for the end",
    "database_encoding": "cantools reads every database as cp1252",
    "empty_fd_frames": "python-can takes FD frames without data for remote frames",
    "error_frames_of_candump": "python-can asks for more bits than those of error frames",
    "j1939_database": "identifiers are compared with their source address",
    "killed_can_log": "",
    "names_of_scaled_values": "the names of a database are those of raw values",
    "one_identifier_on_two_buses": "the bus of a message is not looked at",
    "overlapping_signals": "cantools refuses signals that overlap, and the error names no remedy",
    "relative_times_of_asc": "python-can takes relative times for absolute ones",
    "times_that_go_back": "",
    "trc_1_2": "python-can reads the columns of 1.2 wrongly, and skips error lines",
    "whole_recordings_called_damaged": "the header's count of frames is believed",
}
REAL = "damaged_frame_over_http killed_can_log"


@pytest.mark.parametrize("name", cases(PROGRAMS, REAL))
def test_right(name: str) -> None:
    run_program(Path(__file__).parent / "programs" / f"{name}.py")


@pytest.mark.skipif("RXSTREAM_HUGE" not in os.environ, reason="writes 4.6 GB; set RXSTREAM_HUGE=1")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_wav_may_grow_beyond_4_gib() -> None:
    run_program(Path(__file__).parent / "programs" / "wav_beyond_4_gib.py", limit=280)


def test_every_program_is_run() -> None:
    names = {path.stem for path in (Path(__file__).parent / "programs").glob("*.py")}
    assert names == {*PROGRAMS, "wav_beyond_4_gib"}
