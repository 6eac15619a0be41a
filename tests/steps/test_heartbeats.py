"""Chunks without samples stay between operators; their gaps go with samples, or come at the end."""

from typing import Any

import numpy as np
import pytest
import reactivex as rx
from hypothesis import given
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk, Gap, StreamInfo, concat, lift
from rxstream import operators as ops
from rxstream.steps.heartbeats import WithoutHeartbeats, is_heartbeat, keep_heartbeats
from rxstream.steps.stream import Stream
from rxstream.testing import assert_same, run_operator, streams

MS = 1_000_000
INFO = StreamInfo("ramp", rate=1000.0, dtype=np.int64)


def ramp(first: int, n: int, gap: Gap | None = None) -> Chunk[Any]:
    data = np.arange(first, first + n)
    return Chunk.regular(data, INFO, start=first * MS, index=first, gap=gap)


def beat(at: int, *gaps: Gap, until: int | None = None) -> Chunk[Any]:
    from rxstream.data.gap import GapAt

    start = at if not gaps else gaps[-1].end // MS
    end = start if until is None else until
    return Chunk.empty(
        INFO, start * MS, end * MS, index=start, gap_positions=tuple(GapAt(0, g) for g in gaps)
    )


def lost(a: int, b: int) -> Gap:
    return Gap(a * MS, b * MS, b - a, "dropped")


class Same:
    """A step that changes nothing."""

    def push(self, item: Any) -> tuple[Any]:
        return (item,)

    def flush(self) -> tuple[()]:
        return ()


def heard(*items: Any, error: Exception | None = None) -> list[Any]:
    """Return what a subscriber of an operator's stream gets."""
    out: list[Any] = []
    source: Subject[Any] = Subject()
    source.pipe(lift(Same)).subscribe(out.append, out.append, lambda: out.append("end"))
    for item in items:
        source.on_next(item)
    if error is None:
        source.on_completed()
    else:
        source.on_error(error)
    return out


def test_a_subscriber_gets_chunks_with_samples() -> None:
    a, b = ramp(0, 2), ramp(2, 3)
    assert heard(beat(0), a, beat(2), beat(2), b, beat(5)) == [a, b, "end"]


def test_a_gap_without_samples_goes_with_the_next_samples() -> None:
    a, b = ramp(0, 2), ramp(7, 3)
    out = heard(a, beat(2, lost(2, 4)), beat(4, lost(4, 7)), b)
    assert out == [a, b.with_gap(lost(4, 7)).with_gap(lost(2, 4)), "end"]
    assert concat(out[:2]) == concat([a, beat(2, lost(2, 4)), beat(4, lost(4, 7)), b])


def test_a_gap_that_was_cut_is_one_again() -> None:
    whole = lost(2, 10)
    first, second = whole.between(2 * MS, 5 * MS), whole.between(5 * MS, 10 * MS)
    (out, end) = heard(beat(2, first), ramp(10, 3, second))
    assert (out.gaps, end) == ((whole,), "end")


def test_a_gap_that_no_samples_follow_comes_at_the_end() -> None:
    a, gone = ramp(0, 2), lost(2, 4)
    out = heard(a, beat(2, gone), beat(4, until=9))
    assert (len(out[1]), out[1].start, out[1].end) == (0, gone.end, gone.end)
    assert out == [a, beat(2, gone), "end"]
    boom = RuntimeError("boom")
    assert heard(a, beat(2, gone), error=boom) == [a, beat(2, gone), boom]


def test_merged_streams_keep_their_own_gaps() -> None:
    other = StreamInfo("other", rate=1000.0, dtype=np.int64)
    b = Chunk.regular(np.arange(3), other, start=5 * MS)
    out = heard(ramp(0, 2), beat(2, lost(2, 4)), b, ramp(7, 1))
    assert out == [ramp(0, 2), b, ramp(7, 1).with_gap(lost(2, 4)), "end"]


def test_merged_streams_of_one_name_keep_their_own_gaps() -> None:
    level = StreamInfo("ramp", rate=10.0, dtype=np.int64)
    b = Chunk.regular(np.arange(3), level, start=5 * MS)
    out = heard(ramp(0, 2), beat(2, lost(2, 4)), b, ramp(7, 1))
    assert out == [ramp(0, 2), b, ramp(7, 1).with_gap(lost(2, 4)), "end"]


def test_values_that_are_no_chunks_pass_by_a_kept_gap() -> None:
    out = heard(beat(2, lost(2, 4)), 1.5, ramp(4, 1))
    assert out == [1.5, ramp(4, 1).with_gap(lost(2, 4)), "end"]


def test_what_is_kept_is_bounded() -> None:
    gaps = [Gap(k * MS, (k + 1) * MS, 1, "lag") for k in range(5000)]
    (last, end) = heard(*[beat(k, gap) for k, gap in enumerate(gaps)])
    assert (sum(gap.lost or 0 for gap in last.gaps), end) == (5000, "end")
    assert len(last.gaps) <= 1000
    assert last.gaps[-1].end == 5000 * MS


def test_tuples_of_chunks_are_heartbeats_if_none_has_samples() -> None:
    pair = (ramp(4, 1), ramp(4, 1))
    out = heard((beat(0), beat(0)), (beat(2, lost(2, 4)), beat(4)), pair)
    assert out == [(ramp(4, 1).with_gap(lost(2, 4)), ramp(4, 1)), "end"]
    assert heard((beat(2, lost(2, 4)), beat(4))) == [(beat(2, lost(2, 4)), beat(4)), "end"]
    assert not is_heartbeat((beat(0), ramp(0, 1)))
    assert not is_heartbeat(())
    assert not is_heartbeat((1, 2))


def test_who_asks_gets_all() -> None:
    items = [beat(0), ramp(0, 2), beat(2)]
    out: list[Any] = []
    stream = rx.of(*items).pipe(lift(Same))
    stream.with_heartbeats().subscribe(out.append)
    assert out == items

    class Recorder(rx.abc.ObserverBase[Any]):
        wants_heartbeats = True

        def __init__(self) -> None:
            self.items: list[Any] = []

        def on_next(self, value: Any) -> None:
            self.items.append(value)

        def on_error(self, error: Exception) -> None:
            raise error

        def on_completed(self) -> None:
            pass

    recorder = Recorder()
    stream.subscribe(recorder)
    assert recorder.items == items


def test_our_operators_get_all_and_operators_of_rx_do_not() -> None:
    seen: list[int] = []

    class Watch(Same):
        def push(self, item: Any) -> tuple[Any]:
            seen.append(len(item))
            return (item,)

    items = [beat(0), ramp(0, 2), beat(2)]
    rx.of(*items).pipe(lift(Same), lift(Watch)).subscribe()
    assert seen == [0, 2, 0]
    seen.clear()
    rx.of(*items).pipe(lift(Same), rxo.map(lambda c: c), lift(Watch)).subscribe()
    assert seen == [2]


def test_a_function_given_to_an_operator_never_gets_an_empty_array() -> None:
    def peak(x: np.ndarray[Any, Any]) -> Any:
        return x.max(axis=0, keepdims=True).repeat(len(x), axis=0)  # fails for no samples

    items = [beat(0), ramp(0, 2), beat(2, lost(2, 4)), ramp(4, 3), beat(7)]
    out = run_operator(ops.map_data(peak), items)
    assert concat(out).data.tolist() == [1, 1, 6, 6, 6]
    assert concat(out).gaps == (lost(2, 4),)


def test_a_stream_of_another_kind_is_taken_as_it_is() -> None:
    plain = rx.of(1, 2)
    assert keep_heartbeats(plain) is plain


@given(streams())
def test_nothing_but_heartbeats_is_lost(chunks: list[Chunk]) -> None:
    out: list[Any] = []
    sieve = WithoutHeartbeats(rx.observer.Observer(out.append))
    for chunk in chunks:
        sieve.on_next(chunk)
    sieve.on_completed()
    whole = concat(chunks)
    assert all(len(chunk) for chunk in out[:-1])
    if not len(whole) and not whole.gaps:
        assert out == []
        return
    got = concat(out)
    assert got.time.tolist() == whole.time.tolist()
    assert got.gaps == whole.gaps
    assert got.index == whole.index
    assert_same([got.data], [whole.data])


def test_an_abstract_stream_says_so() -> None:
    errors: list[Exception] = []
    Stream[int]().subscribe(on_error=errors.append)
    with pytest.raises(NotImplementedError):
        raise errors[0]
