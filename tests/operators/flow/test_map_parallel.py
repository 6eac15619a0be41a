"""map_parallel: order, bound, laws, errors, bad arguments."""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS, eventually, ramp
from hypothesis import given, settings
from hypothesis import strategies as st
from pickling import Held, broken, doubled
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.errors import ParameterError, RxStreamError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import (
    assert_live_equals_replay,
    assert_same,
    recut,
    recut_by_time,
    run_operator,
    streams,
)

pytestmark = pytest.mark.real


class Here(Executor):
    """Runs each call at once, where it is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def in_background(source: rx.Observable[Any], got: list[Any]) -> threading.Thread:
    """Subscribe on a thread, as a device's worker would."""
    thread = threading.Thread(target=lambda: source.subscribe(got.append, got.append))
    thread.start()
    return thread


# -- order and bound ----------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.permutations(range(8)), st.integers(1, 8), st.integers(1, 8))
def test_results_come_in_order_however_calls_end(
    order: list[int], in_flight: int, workers: int
) -> None:
    held = Held(8)
    got: list[Any] = []
    with ThreadPoolExecutor(workers) as executor:
        work = ops.map_parallel(held, executor, in_flight=in_flight)
        thread = in_background(rx.from_iterable(range(8)).pipe(work), got)
        for number in order:
            held.gates[number].set()
        thread.join(30)
    assert got == [number * 10 for number in range(8)]
    assert sorted(held.begun) == list(range(8))
    assert held.most <= min(in_flight, workers)


def test_a_quick_call_waits_for_the_one_before_it() -> None:
    held, got = Held(3), list[Any]()
    thread = in_background(rx.of(0, 1, 2).pipe(ops.map_parallel(held, in_flight=3)), got)
    assert eventually(lambda: held.running == 3)
    held.gates[2].set()
    held.gates[1].set()
    assert eventually(lambda: held.running == 1)
    assert got == []
    held.gates[0].set()
    thread.join(30)
    assert got == [0, 10, 20]


def test_results_not_taken_yet_count_too() -> None:
    """A slow subscriber holds the calls as a slow call does: nothing piles up."""
    calls, ahead = list[int](), list[int]()

    def slow(number: int) -> None:
        if number == 0:
            assert eventually(lambda: len(calls) == 3)
        ahead.append(len(calls) - number)

    def work(number: int) -> int:
        calls.append(number)
        return number

    rx.from_iterable(range(200)).pipe(ops.map_parallel(work, in_flight=3)).subscribe(slow)
    assert len(ahead) == 200
    assert max(ahead) == 3


def test_results_come_on_one_thread_of_its_own() -> None:
    names: set[str] = set()
    source = rx.from_iterable(range(50)).pipe(ops.map_parallel(abs, in_flight=4))
    source.subscribe(lambda _: names.add(threading.current_thread().name))
    assert len(names) == 1
    assert names.pop().startswith("rxstream-map_parallel(abs)-")


def test_in_flight_is_by_default_the_number_of_workers() -> None:
    held, got = Held(9), list[Any]()
    with ThreadPoolExecutor(3) as executor:
        thread = in_background(
            rx.from_iterable(range(9)).pipe(ops.map_parallel(held, executor)), got
        )
        assert eventually(lambda: held.running == 3)
        held.release()
        thread.join(30)
    assert held.most == 3
    assert len(got) == 9


# -- the laws -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(streams(), st.lists(st.integers(0, 120), max_size=6), st.lists(st.floats(0, 1), max_size=6))
def test_laws(chunks: list[Chunk[Any]], cuts: list[int], shares: list[float]) -> None:
    """As `check_operator` does, less what needs results on the source's own thread."""
    with ThreadPoolExecutor(2) as executor:
        work = ops.map_parallel(lambda chunk: chunk, executor, in_flight=2)
        out = run_operator(work, chunks)
        assert_same(out, chunks)
        assert_same(run_operator(work, chunks), out)
        assert_same(run_operator(work, recut(chunks, cuts)), out, joined=True)
        assert_same(run_operator(work, recut_by_time(chunks, shares)), out, joined=True)
        assert_live_equals_replay(work, chunks)


def test_heartbeats_pass_by_the_function_in_their_turn() -> None:
    seen: list[int] = []

    def noted(chunk: Chunk[Any]) -> Chunk[Any]:
        seen.append(len(chunk))
        return chunk

    chunks = [ramp(0, 0), ramp(0, 3), ramp(3, 0), ramp(3, 2)]
    assert run_operator(ops.map_parallel(noted, in_flight=2), chunks) == chunks
    assert sorted(seen) == [2, 3]
    assert run_operator(ops.map_parallel(len, in_flight=2), chunks[1:]) == [3, 2]


def test_gaps_of_pairs_without_samples_go_with_the_next_pair() -> None:
    gap = Gap(2 * MS, 5 * MS, 3, "dropped")
    pairs: list[Any] = [(ramp(k, n, lost),) * 2 for k, n, lost in
                        ((0, 2, None), (5, 0, gap), (5, 1, None))]  # fmt: skip
    out = run_operator(ops.map_parallel(lambda pair: pair[1], in_flight=2), pairs)
    assert [(len(c), c.gap) for c in out] == [(2, None), (1, gap)]


def test_an_executor_that_calls_at_once() -> None:
    out = run_operator(ops.map_parallel(doubled, Here(), in_flight=1), [ramp(0, 3), ramp(3, 2)])
    assert [c.data.tolist() for c in out] == [[0, 2, 4], [6, 8]]
    with pytest.raises(ValueError, match="no good: 0"):
        run_operator(ops.map_parallel(broken, Here()), [ramp(0, 3)])


# -- errors -------------------------------------------------------------------------------------


def test_an_error_comes_after_the_results_before_it_and_names_the_place() -> None:
    def work(chunk: Chunk[Any]) -> int:
        return 1 // (chunk.index - 20) or chunk.index

    chunks = [ramp(k, 10) for k in range(0, 50, 10)]
    got: list[Any] = []
    rx.from_iterable(chunks).pipe(ops.map_parallel(work, in_flight=5)).subscribe(
        got.append, got.append, lambda: got.append("end")
    )
    assert got[:-1] == [-1, -1]
    assert isinstance(got[-1], ZeroDivisionError)
    (note,) = got[-1].__notes__
    assert note == ("map_parallel(work): in the chunk of ramp at 00:00:00.020000 (sample 20)")


def test_an_error_ends_the_source_and_what_has_not_begun() -> None:
    source: Subject[int] = Subject()
    held, got = Held(3), list[Any]()

    def work(number: int) -> int:
        held(number)
        return 1 // number

    with ThreadPoolExecutor(1) as executor:
        source.pipe(ops.map_parallel(work, executor, in_flight=3)).subscribe(got.append, got.append)
        for number in range(3):
            source.on_next(number)
        held.gates[0].set()
        assert eventually(lambda: got)
        assert eventually(lambda: not source.observers)
        held.release()
    assert isinstance(got[0], ZeroDivisionError)
    assert got[0].__notes__ == ["map_parallel(work): in the item 0"]
    assert 2 not in held.begun


def test_an_error_of_the_source_comes_after_the_results_before_it() -> None:
    boom, got = RuntimeError("boom"), list[Any]()
    source = rx.concat(rx.of(1, 2), rx.throw(boom))
    source.pipe(ops.map_parallel(lambda x: -x, in_flight=4)).subscribe(got.append, got.append)
    assert got == [-1, -2, boom]


def test_no_items_only_the_end() -> None:
    assert run_operator(ops.map_parallel(doubled), []) == []


def test_an_executor_that_is_shut_down_is_an_error_of_the_stream() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shutdown") as caught:
        run_operator(ops.map_parallel(doubled, executor), [ramp(0, 3)])
    assert "map_parallel(doubled): in the chunk of ramp" in caught.value.__notes__[0]


def test_calls_that_somebody_cancels_are_an_error_of_the_stream() -> None:
    held, got = Held(2), list[Any]()
    executor = ThreadPoolExecutor(1)
    thread = in_background(rx.of(0, 1).pipe(ops.map_parallel(held, executor, in_flight=2)), got)
    assert eventually(lambda: held.begun == [0])
    # the other is submitted once the source waits for the end
    assert eventually(lambda: executor._work_queue.qsize() == 1)
    executor.shutdown(wait=False, cancel_futures=True)
    held.release()
    thread.join(30)
    assert got[0] == 0
    assert type(got[1]).__name__ == "CancelledError"


def test_a_call_that_exits_is_an_error_of_the_stream() -> None:
    with pytest.raises(RxStreamError, match=r"SystemExit\(4\)"):
        run_operator(ops.map_parallel(lambda _: (_ for _ in ()).throw(SystemExit(4))), [ramp(0, 3)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.map_parallel(3), "a function of an item, not 3"),  # type: ignore[arg-type]
        (lambda: ops.map_parallel(abs, 4), "4 is no concurrent.futures.Executor"),  # type: ignore[arg-type]
        (lambda: ops.map_parallel(abs, in_flight=0), "in_flight must be .* not 0"),
        (lambda: ops.map_parallel(abs, in_flight=1.5), "in_flight must be .* not 1.5"),  # type: ignore[arg-type]
        (lambda: ops.map_parallel(abs, in_flight=True), "in_flight must be .* not True"),
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_a_partial_is_called_by_its_function() -> None:
    with pytest.raises(ValueError, match="no good") as caught:
        run_operator(ops.map_parallel(partial(broken)), [ramp(0, 3)])
    assert caught.value.__notes__[0].startswith("map_parallel(broken): in the chunk of ramp")


def test_heartbeats_pass_as_results_and_operators_behind_keep_their_state() -> None:
    """A heartbeat of the source would look like another stream to what comes behind."""
    info = StreamInfo("mic", 100.0, (2,), np.float64)
    whole = Chunk.regular(np.random.default_rng(1).normal(size=(400, 2)), info, start=0)
    cut = [whole[i : i + 10] for i in range(0, 400, 10)]
    mono = ops.map_parallel(lambda c: c.with_data(c.data.mean(axis=1)))
    source = rx.of(*cut)
    got = list(source.pipe(ops.rms(0.25), mono, ops.rms(1.0)))
    want = list(source.pipe(ops.rms(0.25), ops.map_data(lambda x: x.mean(axis=1)), ops.rms(1.0)))
    assert [c.data.tolist() for c in got] == [c.data.tolist() for c in want]
    assert len(concat(got)) == 4


def test_values_have_no_heartbeats() -> None:
    info = StreamInfo("keys", None, (), np.float64)
    beat = Chunk.empty(info, 0, 5)
    key = Chunk.stamped(np.ones(1), [7], info)
    levels = ops.map_parallel(lambda c: float(c.data.sum()))
    out: list[Any] = []
    keep_heartbeats(rx.of(beat, key, beat.shifted(9)).pipe(levels)).subscribe(out.append)
    assert out == [1.0]
