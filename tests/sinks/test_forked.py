"""A sink belongs to its process: a child that is forked leaves it and its file alone."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import written_files
from fakes import ramp
from written_files import CASES

from rxstream.sinks import csv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
]

FORKED = """
import os, sys, threading
from pathlib import Path
from written_files import CASES
from rxstream.errors import RxStreamError

case = CASES[sys.argv[1]]

def write(path, how):
    sink = case.sink(path)
    for k in range(6):
        sink.on_next(case.chunk(20 * k, 20 * k + 20))
        if k == 3:
            if how == "while another thread writes":
                held, go = threading.Event(), threading.Event()
                def hold():
                    with sink._guard:
                        held.set()
                        go.wait(30)
                thread = threading.Thread(target=hold)
                thread.start()
                held.wait(30)
            child = os.fork()
            if not child:
                if how != "ends":
                    assert sink.closed and sink.wait(10)
                    sink.close()
                    sink.on_completed()
                    try:
                        sink.on_next(case.chunk(80, 100))
                    except RxStreamError as error:
                        assert "which this one was forked from" in str(error), error
                    else:
                        raise AssertionError("the child writes too")
                del sink
                sys.exit(0)
            if how == "while another thread writes":
                go.set()
                thread.join(30)
            assert os.waitpid(child, 0)[1] == 0, how
    sink.close()
    print(sink.samples)

for place, how in zip(sys.argv[2::2], sys.argv[3::2]):
    write(Path(place), how)
"""
HOW = ["ends", "closes", "while another thread writes"]


@pytest.mark.parametrize(
    "name", ["wav", "flac", "csv", "blf", "asc", "zipped asc", "sqlite", "avi", "mkv", "mp4"]
)
def test_a_forked_child_does_not_touch_the_file(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{how.split()[0]}{CASES[name].suffix}" for how in HOW]
    several = [text for path, how in zip(paths, HOW, strict=True) for text in (str(path), how)]
    command = [sys.executable, "-W", "ignore", "-c", FORKED, name, *several]
    support = Path(written_files.__file__).parent
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(support), *sys.path])},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "120\n" * len(HOW)), done.stderr
    assert [CASES[name].read(path) for path in paths] == [120] * len(HOW)


def test_a_sink_that_the_parent_did_not_use_is_the_childs(tmp_path: Path) -> None:
    sink = csv(tmp_path / "a.csv")
    with warnings.catch_warnings():
        # of threads that other tests have left
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        sink.on_next(ramp(0, 5))
        sink.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "a.csv").read_text().count("\n") == 6
