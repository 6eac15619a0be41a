"""For all tests: no thread may be left behind; hypothesis in three strengths."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

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

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts its background jobs so, and programs that the tests interrupt would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _ours() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("rxstream-")}


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves one of our threads running."""
    before = _ours()  # one that an earlier test left has failed that test already
    yield
    for thread in _ours() - before:
        thread.join(5.0)
    assert not _ours() - before, f"threads left: {_ours() - before}"
