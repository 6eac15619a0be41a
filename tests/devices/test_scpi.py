"""An instrument on a socket that is switched off and on, and one that pyvisa-sim simulates."""

import math
import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counterparts import free_port
from fakes import eventually
from scpi_server import Answer, Instrument

from rxstream import Backoff, Chunk, Device
from rxstream.devices import Scpi
from rxstream.devices.scpi import _users
from rxstream.errors import (
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "scpi.md"

SIMULATED = """
spec: "1.1"
devices:
  meter:
    eom:
      ASRL INSTR: {q: "\\n", r: "\\n"}
    error: ERROR
    dialogues:
      - {q: "MEAS:VOLT?", r: "+1.25000E+00"}
      - {q: "MEAS:CURR?", r: "-3.0E-3"}
resources:
  ASRL1::INSTR: {device: meter}
"""


def counting(meter: Instrument, **options: Any) -> Any:
    return Scpi(meter.resource, "COUNT?", **{"every": 0.02, "timeout": 0.3} | options)


def test_an_instrument_keeps_the_rules() -> None:
    with Instrument() as meter:
        check_source(
            lambda: counting(meter), unplug=meter.unplug, plug=meter.plug,
            absent=lambda: Scpi(f"TCPIP::127.0.0.1::{free_port()}::SOCKET", "COUNT?"),
        )  # fmt: skip
    assert not any(_users.values())


def test_an_instrument_that_is_switched_off_and_on_again() -> None:
    before = threading.active_count()
    with Instrument() as meter:
        device = Device(counting(meter), reconnect=Backoff(first=0.02, most=0.1))
        chunks: list[Chunk[Any]] = []
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device:
            device.subscribe(chunks.append)
            assert eventually(lambda: sum(map(len, chunks)) >= 20)
            meter.unplug()
            assert lost.wait(10)
            count = sum(map(len, chunks))
            meter.plug()
            assert eventually(lambda: sum(map(len, chunks)) >= count + 20)
    data = np.concatenate([chunk.data for chunk in chunks])
    reasons = [at.gap.reason for chunk in chunks for at in chunk.gap_positions]
    # the first answer of each opening shows what it is; one more may be on its way when it is cut
    steps = np.diff(data)
    assert data[0] == 1
    assert sorted(set(steps.tolist())) in ([1, 2], [1, 3])
    assert np.count_nonzero(steps > 1) == 1
    assert [reason for reason in reasons if reason != "overrun"] == ["disconnect"]
    assert threading.active_count() == before


def test_times_lie_between_question_and_answer() -> None:
    with Instrument() as meter, Device(counting(meter)) as device, device.reader() as reader:
        chunk = reader.read(10, timeout=10)
    for k, item in enumerate(chunk.evidence):
        low, high = item.bounds or (0, 0)
        assert low <= chunk.time[k] <= high
    assert 0 < chunk.uncertainty < 0.3e9


def test_several_values_and_queries_and_traces() -> None:
    with Instrument() as meter:
        cases: list[tuple[Any, dict[str, Any], list[float]]] = [
            ("TWO?", {"channels": ("u", "i")}, [1.5, -2.5]),
            (("COUNT?", "TWO?"), {}, [1.0, 1.5, -2.5]),
            ("TRACE?", {"answers": "float32"}, [float(k) for k in range(500)]),
        ]
        for query, options, values in cases:
            meter.count = 0
            source = Scpi(meter.resource, query, every=0.02, setup=("CONF",), **options)
            with Device(source) as device, device.reader() as reader:
                chunk = reader.read(2, timeout=10)
            assert chunk.shape == (2, len(values))
            assert chunk.data[0].tolist() == values
            assert chunk.info.channels == options.get("channels", ())
        assert meter.commands == ["CONF"] * 3


def test_what_is_no_number_is_counted() -> None:
    with Instrument() as meter:
        meter.answers["V?"] = "1.0"
        device = Device(Scpi(meter.resource, "V?", every=0.01))
        chunks: list[Chunk[Any]] = []
        with device:
            device.subscribe(chunks.append)
            assert eventually(lambda: sum(map(len, chunks)) >= 2)
            meter.answers["V?"] = "OVLD"
            asked = meter.asked
            assert eventually(lambda: meter.asked > asked + 2)
            meter.answers["V?"] = "1.0,2.0"
            meter.answers["V?"] = "9.91E+37"
            assert eventually(lambda: any(np.isnan(chunk.data).any() for chunk in chunks))
            meter.answers["V?"] = "-9.9E37"
            assert eventually(lambda: any(np.isinf(chunk.data).any() for chunk in chunks))
    gaps = [at.gap for chunk in chunks for at in chunk.gap_positions if at.gap.reason == "dropped"]
    assert len(gaps) == 1
    assert (gaps[0].lost or 0) >= 2
    assert min(chunk.data.min() for chunk in chunks if len(chunk)) == -math.inf


def test_two_instruments_of_one_backend_close_for_themselves() -> None:
    with Instrument() as meter, Device(counting(meter)) as first:
        with Device(counting(meter)) as second, second.reader() as reader:
            reader.read(2, timeout=10)
        with first.reader() as reader:
            assert len(reader.read(5, timeout=10)) == 5
        assert first.state == "open"


class Talkative(Instrument):
    """Gives two answers to the questions whose numbers are in ``twice``."""

    twice: tuple[int, ...] = ()

    def _answer(self, question: str) -> Answer:
        answer = super()._answer(question)
        if question == "COUNT?" and self.count in self.twice:
            return f"{answer}\n-7"
        return answer


@pytest.mark.parametrize("query", ["COUNT?", ("COUNT?", "TWO?")])
def test_a_second_answer_is_no_answer_to_the_next_question(query: Any) -> None:
    with Talkative() as meter:
        meter.twice = (4, 9)
        with Device(Scpi(meter.resource, query, every=0.02)) as device, device.reader() as reader:
            chunk = reader.read(12, timeout=10)
            (fault,) = device.faults
    expected = [[float(k), 1.5, -2.5] if len(query) == 2 else float(k) for k in range(1, 13)]
    assert chunk.data.tolist() == expected
    assert isinstance(fault, OverrunError)
    assert "had sent '-7' before it was asked, which is dropped" in str(fault)
    assert {gap.reason for gap in chunk.gaps} <= {"overrun"}


def test_an_instrument_that_sends_without_end_is_lost() -> None:
    class Endless(Instrument):
        def _answer(self, question: str) -> Answer:
            answer = super()._answer(question)
            return b"5\n" * 2_000_000 if self.count == 3 else answer

    with Endless() as meter:
        device, errors = Device(counting(meter, timeout=0.1)), list[Exception]()
        with device:
            device.subscribe(lambda _: None, errors.append)
            assert device.wait(20)
    assert "sends without end and unasked" in str(errors[0])


def test_an_instrument_that_is_silent_is_lost() -> None:
    with Instrument() as meter:
        meter.answers["V?"] = "1.0"
        device = Device(Scpi(meter.resource, "V?", every=0.01, timeout=0.1))
        errors: list[Exception] = []
        with device:
            device.subscribe(lambda _: None, errors.append)
            meter.answers["V?"] = None
            assert device.wait(10)
        assert isinstance(errors[0], DeviceLostError)
        assert "does not answer (" in str(errors[0])
        with pytest.raises(DeviceNotFoundError, match=r"does not answer \(.*is it on"):
            Device(Scpi(meter.resource, "V?", timeout=0.1)).open()


def test_a_simulated_instrument(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(SIMULATED)
    source = Scpi(
        "ASRL1::INSTR", ("MEAS:VOLT?", "MEAS:CURR?"), every=0.02, backend=f"{path}@sim",
        channels=("volt", "ampere"),
    )  # fmt: skip
    check_source(lambda: source)
    with Device(source) as device, device.reader() as reader:
        assert reader.read(3, timeout=10).data.tolist() == [[1.25, -0.003]] * 3
    with pytest.raises(DeviceNotFoundError, match="answers no numbers: 'ERROR' is no number"):
        Device(Scpi("ASRL1::INSTR", "NONSENSE?", backend=f"{path}@sim")).open()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resource": ""}, "address of VISA"),
        ({"query": ()}, "query must be a question"),
        ({"query": ("A?", 5)}, "query must be a question"),
        ({"every": 0}, "every must be > 0"),
        ({"setup": "CONF"}, "setup must be a tuple"),
        ({"query": ("A?", "B?"), "answers": "int8"}, "are those of one query, not of 2"),
        ({"answers": "int24"}, "answers must be 'text' or 'int8'"),
        ({"timeout": -1}, "timeout must be > 0"),
        ({"baud": 0}, "baud must be > 0"),
        ({"terminator": ""}, "terminator must be"),
        ({"channels": 5}, "channels must be a tuple"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Scpi(**{"resource": "GPIB::7", "query": "A?"} | options)


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"answer \(ConnectionRefused.*is it on"):
        Device(Scpi(f"TCPIP::127.0.0.1::{free_port()}::SOCKET", "A?")).open()
    with pytest.raises(DeviceNotFoundError, match=r"give an address of VISA"):
        Device(Scpi("nonsense", "A?")).open()
    with pytest.raises(MissingExtraError, match="cannot be loaded"):
        Device(Scpi("GPIB::7", "A?", backend="@nobody")).open()
    with Instrument() as meter, pytest.raises(ParameterError, match=r"3 channels .* 2 values"):
        Device(Scpi(meter.resource, "TWO?", channels=("a", "b", "c"))).open()
    monkeypatch.setitem(sys.modules, "pyvisa", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[scpi\]"):
        Device(Scpi("GPIB::7", "A?")).open()


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with Instrument() as meter:
        meter.answers["MEAS:VOLT?"] = "1.5"
        exec(block.replace("TCPIP::192.168.0.5::5025::SOCKET", meter.resource), {})
    assert "[1.5 1.5 1.5]" in capsys.readouterr().out
