"""poll: one thread, closed from anywhere, errors reported."""

import threading
from typing import Any

import numpy as np
import pytest
from fakes import eventually

from rxstream.acquisition.polling import poll
from rxstream.errors import EndOfStream, ParameterError

pytestmark = pytest.mark.real


def test_it_reads_until_closed_and_releases_once() -> None:
    got: list[Any] = []
    released: list[str] = []
    turn = threading.Semaphore(0)

    def read() -> Any:
        return np.zeros(1) if turn.acquire(timeout=0.02) else None

    close = poll(
        read, got.append, got.append, name="x",
        release=lambda: released.append(threading.current_thread().name),
    )  # fmt: skip
    for _ in range(3):
        turn.release()
    assert eventually(lambda: len(got) == 3)
    close()
    close()
    assert released == ["rxstream-x"]


@pytest.mark.parametrize("error", [OSError("cable"), EndOfStream()])
def test_errors_and_ends_are_told(error: Exception) -> None:
    failures: list[Exception] = []

    def read() -> Any:
        raise error

    close = poll(read, print, failures.append, name="x")
    assert eventually(lambda: failures)
    close()
    assert failures == [error]


def test_read_may_close_itself() -> None:
    closers: list[Any] = []
    ready, done = threading.Event(), threading.Event()

    def read() -> None:
        ready.wait(5)
        closers[0]()
        done.set()

    closers.append(poll(read, print, print, name="x"))
    ready.set()
    assert done.wait(5)
    closers[0]()


def test_a_name_is_needed() -> None:
    with pytest.raises(ParameterError, match="name"):
        poll(lambda: None, print, print, name="")
