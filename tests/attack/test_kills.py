"""Programs are killed at random moments: what came more than a second before is in their files."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import kill_writer
import pytest
from campaign import seeds
from written_files import CASES

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, one clock for all"),
]

PROMISE = 1.0  # what a kill may cost [s]
SIDE_BY_SIDE = 5  # programs killed in one test
SINKS = 4  # of each program
# 100 kills at length, 5 otherwise
RUNS = seeds(20) if os.environ.get("RXSTREAM_ATTACK") else seeds(20)[:1]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)


class Victim:
    """A program that writes some files, and is killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        rng = random.Random(seed)
        folder.mkdir()
        self._folder = folder
        self._names = rng.sample(sorted(CASES), SINKS)
        self._delay, self._signal = rng.uniform(1.2, 2.7), rng.choice(SIGNALS)
        # each way of writing is in five programs that follow each other
        self.way = kill_writer.WAYS[seed % len(kill_writer.WAYS)]
        self._closing = rng.uniform(0.0, 0.02)
        support = str(Path(kill_writer.__file__).parent)
        self._process = subprocess.Popen(
            [sys.executable, kill_writer.__file__, folder, self.way, *self._names],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([support, *sys.path])},
        )  # fmt: skip
        self._killed_at = 0
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def _kill(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.readline()
        # the moment is drawn: this does not wait for anything
        threading.Event().wait(self._delay)
        if self.way == "close":
            assert self._process.stdin is not None
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            threading.Event().wait(self._closing)
        self._killed_at = time.monotonic_ns()
        self._process.send_signal(self._signal)

    def losses(self) -> dict[str, float]:
        """Return how long before the kill [s] what cannot be read had come, for each file."""
        self._thread.join(60)
        _, errors = self._process.communicate(timeout=30)
        assert self._process.returncode == -self._signal, errors
        found = {}
        for number, name in enumerate(self._names):
            path = self._folder / f"{number}{CASES[name].suffix}"
            readable = CASES[name].read(path)
            lost = [time for taken, time in self._taken(number) if taken > readable]
            found[name] = (self._killed_at - min(lost, default=self._killed_at)) / 1e9
        return found

    def _taken(self, number: int) -> list[tuple[int, int]]:
        lines = (self._folder / kill_writer.TAKEN).read_text().splitlines()
        notes = [[int(word) for word in line.split()] for line in lines]
        return [(taken, at) for case, taken, at in notes if case == number]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", RUNS)
def test_a_kill_costs_at_most_a_second(seed: int, tmp_path: Path) -> None:
    victims = [Victim(tmp_path / str(k), seed * SIDE_BY_SIDE + k) for k in range(SIDE_BY_SIDE)]
    losses = [
        (f"{name}, {victim.way}", lost)
        for victim in victims
        for name, lost in victim.losses().items()
    ]
    for name, lost in losses:
        print(f"{name}: lost {max(0.0, lost):.3f} s")
    late = [(name, lost) for name, lost in losses if lost > PROMISE]
    assert not late, f"more than {PROMISE} s lost [s]: {late}"
