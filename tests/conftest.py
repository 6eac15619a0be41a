"""For all tests: no thread left behind; hypothesis in four strengths; limits of time; lanes."""

import gc
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from campaign import at_length, first_cases, first_seed
from hypothesis import HealthCheck, settings
from lanes import Lanes

from rxstream.acquisition.failures import forget_failures

settings.register_profile("fast", max_examples=15, deadline=None)
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("attack", max_examples=1000, deadline=None)
_usual = "attack" if at_length() else "ci" if os.environ.get("CI") else "dev"
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", _usual))

# A soak test takes 5 to 15 s on an idle machine; on a busy one the common limit would end it.
_SOAK_LIMIT = 300.0  # [s]

# A shell starts its background jobs with SIGINT ignored, and programs that the tests interrupt
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same of SIGHUP under nohup. A handler that does nothing is not inherited, and keeps pytest.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_report_header() -> str:
    """Show what repeats the campaigns of this run."""
    return f"campaigns: RXSTREAM_SEED={first_seed()}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes | None:
    """Keep the tests of a lane together where groups are asked for."""
    return Lanes(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a quick run does not need, and give soak tests their own limit of time."""
    if os.environ.get("RXSTREAM_QUICK"):
        kept, left_out = first_cases(items)
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
    for item in items:
        if item.get_closest_marker("soak") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SOAK_LIMIT))


def pytest_collection_finish() -> None:
    """Leave the tests and all modules out of each collection of garbage: 0.3 s otherwise."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_failure_noted() -> None:
    """Begin each test with no failure noted: tests of failures leave some behind."""
    forget_failures()


def _our_threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("rxstream-")}


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves one of our threads running."""
    before = _our_threads()  # one that an earlier test left has failed that test already
    yield
    for thread in _our_threads() - before:
        # one that is just being started is listed already, and cannot be waited for
        if thread.ident is not None:
            thread.join(5.0)
    assert not _our_threads() - before, f"threads left: {_our_threads() - before}"
