"""Where a subscription begins: in the past, at a time, without a seam."""

import random
import threading
from typing import Any

import numpy as np
import pytest
from fakes import MS, eventually, ramp
from reactivex.scheduler import ImmediateScheduler
from windows import filled, values

from rxstream import Chunk, TimeWindowSubject
from rxstream.window.rewindable import Rewindable

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def test_rewind_begins_in_the_past_and_goes_on() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    got: list[Chunk[Any]] = []
    subject.rewind(0.035).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(65, 100))
    subject.on_next(ramp(100, 10))
    assert values(got) == list(range(65, 110))
    assert got[0].start == 65 * MS
    subject.on_completed()


def test_rewind_to_a_time() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    got: list[Chunk[Any]] = []
    subject.rewind(to=np.datetime64(42 * MS, "ns")).subscribe(got.append, scheduler=here)
    assert values(got) == list(range(42, 100))
    subject.on_completed()


def test_rewind_and_policy_combine_in_any_order() -> None:
    subject = filled(60.0, *(ramp(10 * k, 10) for k in range(10)))
    for view in (
        subject.rewind(0.02).on_lag("block", name="store"),
        subject.on_lag("block", name="store").rewind(0.02),
    ):
        assert isinstance(view, Rewindable)
        got: list[Chunk[Any]] = []
        view.subscribe(got.append, scheduler=here)
        assert values(got) == list(range(80, 100))
    assert [cursor.name for cursor, _, _ in subject.log.cursors()] == ["store", "store"]
    subject.on_completed()


def test_seam_of_a_late_subscriber_1000_trials_under_load() -> None:
    """Subscribers that come at random moments, with random rewinds: no duplicate, no hole."""
    rng = random.Random(7)
    subject = TimeWindowSubject(3600.0, max_bytes=1 << 30)
    stop = threading.Event()

    def produce() -> None:
        k = 0
        while not stop.is_set():
            n = 1 + k % 7
            subject.on_next(ramp(k, n))
            k += n
            if k % 50 == 0:
                stop.wait(0.0005)  # let the others have the interpreter
        subject.on_completed()

    producer = threading.Thread(target=produce)
    results: list[list[np.ndarray[Any, Any]]] = []
    producer.start()
    assert eventually(lambda: subject.log.stop > 100)
    live: list[Any] = []
    for trial in range(1000):
        got: list[np.ndarray[Any, Any]] = []
        enough = threading.Event()

        def take(chunk: Chunk[Any], got: list[Any] = got, enough: threading.Event = enough) -> None:
            got.append(chunk.data)
            if len(got) > 30:
                enough.set()

        source = subject if trial % 4 == 0 else subject.rewind(rng.random() * 0.05)
        live.append((source.subscribe(take), enough))
        results.append(got)
        if len(live) >= 4:
            subscription, enough = live.pop(0)
            assert enough.wait(20)
            subscription.dispose()
    stop.set()
    producer.join()
    assert subject.wait(20 * 10**9)
    assert len(results) == 1000
    for got in results:
        steps = np.diff(np.concatenate(got))
        assert (steps == 1).all(), "a duplicate or a hole at the seam"
