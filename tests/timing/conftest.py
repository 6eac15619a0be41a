"""The traces of the benchmark, and how to feed a model with them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

_PATH = Path(__file__).parents[2] / "benchmarks" / "timing" / "traces.py"


def _load() -> ModuleType:
    name = "rxstream_timing_traces"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _PATH)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


class Run:
    """A model fed with a trace: its stamps, events and errors."""

    def __init__(self, trace, model):
        self.trace, self.model = trace, model
        counter = [None] * len(trace.count) if trace.counter is None else trace.counter.tolist()
        bounds = [None] * len(counter)
        if trace.lower is not None:
            bounds = list(zip(trace.lower.tolist(), trace.upper.tolist(), strict=True))
        self.stamps = [
            model.push(n, arrival, counter=c, bounds=b)
            for n, arrival, c, b in zip(
                trace.count.tolist(), trace.arrival.tolist(), counter, bounds, strict=True
            )
        ]
        self.first = np.array([stamp.first for stamp in self.stamps])
        self.last = np.array([stamp.last for stamp in self.stamps])
        self.events = [event for stamp in self.stamps for event in stamp.events]

    def errors(self, warm=2.0):
        """Error of the last sample of each chunk after ``warm`` seconds [µs], floor known."""
        error = (self.last - self.trace.truth) / 1e3 - self.trace.floor * 1e6
        return error[self.trace.arrival - self.trace.arrival[0] > warm * 1e9]

    def p95(self):
        return float(np.quantile(np.abs(self.errors()), 0.95))

    def gaps(self):
        return [(event.first, event.samples) for event in self.events if event.kind == "gap"]

    def precision_recall(self, tolerance=5):
        """Return the shares of reported gaps that are true, and of true gaps that are reported."""
        reported, true = self.gaps(), list(self.trace.gaps)
        hits = 0
        for chunk, _ in reported:
            near = [gap for gap in true if abs(gap[0] - chunk) <= tolerance]
            if near:
                true.remove(near[0])
                hits += 1
        return hits / max(len(reported), 1), hits / max(len(self.trace.gaps), 1)

    def check_order(self):
        count, last = self.trace.count, self.last
        assert (self.first <= last - (count - 1)).all()
        assert (self.first[1:] > last[:-1]).all()
        assert (last <= self.trace.arrival).all()


def settings_of(trace, **changes):
    return ClockSettings(rate=trace.rate, quantum=trace.quantum, counter=trace.spec, **changes)


@pytest.fixture(scope="session")
def traces():
    return _load()


@pytest.fixture(scope="session")
def follow():
    """Feed a fresh model with a trace."""

    def run(trace, model=None, **changes):
        return Run(trace, model or ClockModel(settings_of(trace, **changes)))

    return run
