"""Streams that nothing was tuned on; a part of the benchmark's sweep."""

from pathlib import Path

import numpy as np
import pytest

from rxstream.timing.online.envelope import LowerEnvelope
from rxstream.timing.online.losses import LossTest
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
S = 1_000_000_000


@pytest.fixture
def sweep(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return pytest.importorskip("timing.sweep")


CELLS = [
    (8_000.0, 80, 500.0, "gamma", "blocks"), (8_000.0, 8_000, -100.0, "pareto", "any"),
    (96_000.0, 96, -500.0, "pareto", "any"), (96_000.0, 960, -100.0, "gamma", "blocks"),
    (96_000.0, 9_600, 100.0, "bimodal", "any"), (96_000.0, 96_000, -500.0, "bimodal", "none"),
    (200.0, 1, -500.0, "bimodal", "blocks"), (200.0, 20, 100.0, "pareto", "none"),
    (200.0, 200, 0.0, "gamma", "blocks"), (1.0, 1, 500.0, "pareto", "any"),
]  # fmt: skip


@pytest.mark.parametrize("values", CELLS, ids=lambda values: "-".join(map(str, values)))
def test_no_peer_is_better(values, sweep):
    cell = sweep.Cell(*values)
    rows = sweep.score(cell.trace(seed=7), offline=False)
    assert sweep.gain(rows) >= 1
    ours = rows["rxstream"]
    assert ours["order"] == 0
    assert ours["covered"] > 0.85
    assert ours["first 2 s"] <= 1.1 * rows["lowest_10s"]["first 2 s"]


def test_every_cell_can_be_made(sweep):
    cells = [cell for _, cell in sweep.cells(every=7)]
    assert {cell.rate for cell in cells} == {8_000.0, 96_000.0, 200.0, 1.0}
    seconds = {cell.stream: float(np.ptp(cell.trace(1).truth)) / S for cell in cells[::5]}
    assert all(5 < length < 1700 for length in seconds.values())


def test_streams_with_losses_lose_something(sweep):
    cells = [cell for _, cell in sweep.cells() if cell.loss != "none" and cell.ppm == 0]
    assert all(len(cell.trace(3).gaps) >= 2 for cell in cells if cell.size == 1)


def test_the_documented_table_has_every_part(sweep):
    cell = sweep.Cell(200.0, 20, 100.0, "pareto", "none")
    rows = sweep.score(cell.trace(seed=7), offline=False)
    lines = sweep.documented({cell: rows}).splitlines()
    assert lines[0].startswith("| part | streams | ")
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| nothing lost", "| ±100 ppm", "| pareto delays", "| all",
    ]  # fmt: skip
    assert all(line.split(" | ")[1] == "1" for line in lines[2:])


# -- what the sweep brought to light --------------------------------------------------------------


def test_chunks_that_waited_for_another_are_no_evidence():
    rng = np.random.default_rng(1)
    lines = [LowerEnvelope(0.0, 50e-6, 5e-9, (10.0, 300.0)) for _ in range(2)]
    for k in range(400):  # bursts of ten: one late, nine right behind it
        late = float(rng.exponential(5e-3))
        for i in range(10):
            x = k * 10e-3 + i * 1e-3
            for line, fresh in zip(lines, (i == 0, True), strict=True):
                line.add(x, late + 10e-3 - i * 0.9e-3, fresh)
    careful, careless = lines
    assert careful.points == pytest.approx(careless.points / 10, rel=0.1)
    assert careful.at(4.0) == pytest.approx(careless.at(4.0), abs=1e-3)


def test_a_rise_of_the_delay_that_was_none_is_taken_back():
    rng = np.random.default_rng(2)
    model = ClockModel(ClockSettings(rate=48_000.0, quantum=480))
    arrivals = 10 + np.arange(1, 3001) * 0.01 + rng.exponential(0.3e-3, 3000)
    arrivals[1500:1508] += 8.5e-3  # nearly a block, for some chunks in a row
    events, last = [], []
    for arrival in np.maximum.accumulate(arrivals):
        stamp = model.push(480, round(arrival * S))
        events += stamp.events
        last.append(stamp.last)
    assert [event.kind for event in events] == ["latency", "latency"]
    assert sum(event.delay for event in events) == pytest.approx(0, abs=2e6)
    error = np.array(last)[1520:] - (10 + np.arange(1521, 3001) * 0.01) * S
    assert np.abs(error).max() < 20_000


def test_a_loss_of_less_than_a_sample_is_none():
    rng = np.random.default_rng(3)
    model = ClockModel(ClockSettings(rate=1.0))
    arrivals = 10 + np.arange(1.0, 601.0) + rng.exponential(1e-3, 600)
    arrivals[300:] += 0.05
    events = [event for a in arrivals for event in model.push(1, round(a * S)).events]
    assert [event.kind for event in events] == ["latency"]


def test_a_slow_stream_settles_after_a_restart(traces, follow):
    trace = traces.regular(4, rate=1.0, size=1, seconds=900, delay=traces.gamma(2.0, 0.5e-3))
    arrival = trace.arrival + np.where(np.arange(900) >= 450, 7 * S, 0)
    truth = trace.truth + (arrival - trace.arrival)
    run = follow(traces.replace(trace, arrival=arrival, truth=truth, quantum=None))
    assert [event.kind for event in run.events] == ["restart"]
    assert np.quantile(np.abs(run.errors()[470:]), 0.95) < 800


def test_what_waited_in_a_stall_comes_one_by_one_and_is_no_loss(traces, follow):
    """8000 messages a second whose delays are like their distances, held up once a second."""
    for seed in (2, 4, 15):
        trace = traces.regular(
            seed, rate=8000.0, size=1, seconds=12.0, delay=traces.gamma(2.0, 0.05e-3)
        )
        run = follow(trace)
        assert run.gaps() == []
        assert run.p95() < 50


def test_what_waited_comes_one_by_one_and_not_always_at_once(follow, sweep):
    """Now and then some of what drains comes as far apart as it was taken."""
    for seed, *values in (
        (1001, 8000.0, 1, 0.0, "gamma", "blocks"), (1019, 8000.0, 1, -100.0, "gamma", "blocks"),
    ):  # fmt: skip
        run = follow(sweep.Cell(*values).trace(seed))
        reported = sum(event.samples for event in run.events)
        assert reported == sum(samples for _, samples in run.trace.gaps)
        assert len(run.events) <= len(run.trace.gaps) + 2
        assert run.p95() < 5


def test_a_loss_is_not_smaller_because_the_line_is_not_exact(follow, sweep):
    run = follow(sweep.Cell(8000.0, 1, 0.0, "bimodal", "blocks").trace(1007))
    assert [event.samples for event in run.events] == [4, 1]
    assert run.p95() < 1


def test_a_loss_before_chunks_can_be_judged_is_looked_at_once(follow, sweep, monkeypatch):
    """Not with every chunk until they can: that took a second of computing for 0.1 s of data."""
    looked = []
    run = LossTest._run
    monkeypatch.setattr(LossTest, "_run", lambda self, *args: looked.append(1) or run(self, *args))
    trace = sweep.Cell(8000.0, 1, 0.0, "bimodal", "blocks").trace(1007)
    assert trace.gaps[0][0] < 10_000
    model = ClockModel(ClockSettings(8000.0, 1))
    for arrival in trace.arrival[:15_900].tolist():
        model.push(1, arrival)
    assert len(looked) <= 1
