"""For all tests: no thread may be left behind; hypothesis in four strengths; limits of time."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from campaign import first_seed
from hypothesis import HealthCheck, settings

from rxstream.acquisition.failures import forget_failures

settings.register_profile("fast", max_examples=15, deadline=None)
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# A soak test takes 5 to 15 s on an idle machine; on a busy one the common limit would end it.
_SOAK_LIMIT = 300.0  # [s]

# A shell starts its background jobs with SIGINT ignored, and programs that the tests interrupt
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Show what repeats the campaigns of this run."""
    return f"campaigns: RXSTREAM_SEED={first_seed()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give soak tests their own limit of time."""
    for item in items:
        if item.get_closest_marker("soak") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SOAK_LIMIT))


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
