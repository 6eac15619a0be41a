"""The health of this computer, and of a process that is killed and started again."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rxstream import Backoff, Device
from rxstream.authoring import now_ns
from rxstream.devices import Health
from rxstream.errors import DeviceLostError, DeviceNotFoundError, MissingExtraError, ParameterError
from rxstream.testing import check_source

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "health.md"

pytestmark = pytest.mark.real


class Sleeper:
    """A process of a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"rx{os.getpid()}"
        self._command = [str(folder / self.name), "600"]
        shutil.copy(shutil.which("sleep") or "sleep", self._command[0])

    def plug(self) -> None:
        self.process = subprocess.Popen(self._command)

    def unplug(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    made = Sleeper(tmp_path)
    made.plug()
    yield made
    made.unplug()


def test_the_computer_keeps_the_rules() -> None:
    check_source(lambda: Health(every=0.05))


def test_a_process_keeps_the_rules(sleeper: Sleeper) -> None:
    check_source(
        lambda: Health(0.05, sleeper.name), unplug=sleeper.unplug, plug=sleeper.plug,
        absent=lambda: Health(0.05, "no such name"),
    )  # fmt: skip


@pytest.mark.parametrize("of_process", [False, True])
def test_each_value_has_a_unit_and_is_plausible(of_process: bool) -> None:
    before, process = now_ns(), os.getpid() if of_process else None
    device = Device(Health(0.05, process))
    with device.reader() as reader, device:
        _ = [sum(range(10_000)) for _ in range(200)]
        chunk = reader.read(3, timeout=20)
    row, names = chunk.data[-1], chunk.data.dtype.names or ()
    assert set(chunk.info.extra["units"]) == set(names)
    assert chunk.info.rate is None
    assert row["memory_used"] > 1e6
    assert 0 < row["memory"] <= 100
    # the kernel adds up processor time in steps of 10 ms, in an interval of 50
    assert 0 <= row["cpu"] <= 130 * (os.cpu_count() or 1)
    assert np.isnan(chunk.data["cpu"][0])
    for name in names:
        if chunk.info.extra["units"][name] == "B/s":
            assert not row[name] < 0
    assert before < chunk.time[0] < chunk.time[-1] < chunk.arrival
    assert chunk.uncertainty < 50e6


def test_a_process_counts_its_own(sleeper: Sleeper) -> None:
    device = Device(Health(0.02, sleeper.process.pid))
    with device.reader() as reader, device:
        first, row = reader.read(2, timeout=20).data
        assert np.isnan(first["cpu"])
        assert row["threads"] == 1
        assert row["cpu"] == 0
        sleeper.unplug()
        with pytest.raises(DeviceLostError, match="has ended"):
            reader.read(1_000_000, timeout=20)


def test_a_process_that_is_started_again_goes_on(sleeper: Sleeper) -> None:
    before = threading.active_count()
    device = Device(Health(0.02, sleeper.name), reconnect=Backoff(first=0.02, most=0.1))
    lost = threading.Event()
    device.faults.subscribe(lambda _: lost.set())
    with device, device.reader() as reader:
        reader.read(2, timeout=20)
        sleeper.unplug()
        assert lost.wait(20)
        sleeper.plug()
        reasons: list[str] = []
        while "disconnect" not in reasons:
            chunk = reader.read(1, timeout=20)
            reasons += [at.gap.reason for at in chunk.gap_positions]
        more = reader.read(3, timeout=20)
    assert reasons.count("disconnect") == 1
    assert "disconnect" not in [at.gap.reason for at in more.gap_positions]
    assert np.isfinite(more.data["memory_used"]).all()
    assert threading.active_count() == before


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match="no process nobody is running"):
        Device(Health(process="nobody")).open()
    with pytest.raises(DeviceNotFoundError, match="no process 999999999"):
        Device(Health(process=999_999_999)).open()
    with pytest.raises(ParameterError, match="every"):
        Health(every=0)
    with pytest.raises(ParameterError, match="process"):
        Health(process=1.5)  # type: ignore[arg-type]
    for wrong in ("", " ", -1):
        with pytest.raises(
            ParameterError, match=f"number of a process, its name, .* not '?{wrong}"
        ):
            Health(process=wrong)
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[health\]"):
        Device(Health()).open()


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out.rstrip().endswith("%")
