"""onset: marble, a naive walk and scipy as judges, gaps, the laws, errors."""

import sys
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler
from signals import CUTS, MS, SHARES, chunk

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.data.axis import Evidence, RegularAxis
from rxstream.errors import ChunkError, MissingExtraError, ParameterError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import check_operator, infos, recut, recut_by_time, run_operator, streams

LEVELS = st.lists(st.integers(0, 9), min_size=1, max_size=80)
NUMBERS = infos().filter(lambda info: not info.dtype.names)
IRREGULAR = infos(regular=False).filter(lambda info: not info.dtype.names)


def level(values: list[Any], index: int = 0, gap: Gap | None = None) -> Chunk[Any]:
    return chunk(np.array(values, float), index, gap)


def found(chunks: list[Chunk[Any]]) -> list[int]:
    """Return the times [ms] of what was found."""
    return [int(t) // MS for c in chunks for t in c.time]


def walk(
    values: list[float], high: Any, low: Any, rest: int, *, is_on: bool = True
) -> list[int]:  # fmt: skip
    """Walk through it, one sample after the other; return where it rises."""
    out, last = [], None
    highs, lows = np.broadcast_to(high, len(values)), np.broadcast_to(low, len(values))
    for k, value in enumerate(values):
        if value >= highs[k]:
            if not is_on and (last is None or k - last >= rest):
                out.append(k)
                last = k
            is_on = True
        elif value < lows[k]:
            is_on = False
    return out


def test_marble() -> None:
    scheduler, on_next = TestScheduler(), ReactiveTest.on_next
    hot = scheduler.create_hot_observable(
        on_next(210, level([1, 2, 7])), on_next(220, level([8, 4], 3)),
        on_next(230, level([3, 1, 9], 5)), on_next(240, level([2], 8)),
        ReactiveTest.on_completed(250),
    )  # fmt: skip
    result: Any = scheduler.start(lambda: keep_heartbeats(hot.pipe(ops.onset(6))))
    items = [(m.time, m.value.value) for m in result.messages[:-1]]
    assert [(t, c.data.tolist(), c.index, c.end // MS) for t, c in items] == [
        (210, [7], 0, 3), (220, [], 1, 5), (230, [9], 1, 8), (240, [], 2, 9),
    ]  # fmt: skip
    assert items[0][1].info.rate is None


@given(LEVELS, st.integers(1, 9), st.integers(1, 9), st.integers(0, 20), CUTS, SHARES)
def test_a_walk_agrees(
    values: list[int], a: int, b: int, rest: int, cuts: list[int], shares: list[float]
) -> None:
    off, on = sorted((a, b))
    operator = ops.onset(on, off=off, holdoff=rest / 1000)
    out = run_operator(operator, recut_by_time(recut([level(values)], cuts), shares))
    want = walk([float(v) for v in values], on, off, rest)
    assert found(out) == want
    assert np.concatenate([c.data for c in out]).tolist() == [values[k] for k in want]
    assert [s.index for s in run_operator(ops.samples(), out)] == list(range(len(want)))


@given(LEVELS, st.integers(1, 12), st.integers(0, 12), st.sampled_from([0.005, 1.0]), CUTS)
def test_the_background_is_an_exponential_mean(
    values: list[int], above: int, less: int, seconds: float, cuts: list[int]
) -> None:
    keep = np.exp(-0.001 / seconds)
    x = np.array(values, float) + 1
    means, _ = scipy.signal.lfilter([1 - keep], [1, -keep], x, zi=[keep * x[0]])
    before = np.concatenate((x[:1], means[:-1]))
    high, low = before * 10 ** (above / 20), before * 10 ** ((above - less) / 20)
    operator = ops.onset(above=above, off=above - less, background=seconds)
    out = run_operator(operator, recut([level((-x).tolist())], cuts))  # of its magnitude
    assert found(out) == walk(x.tolist(), high, low, 0)
    both = run_operator(
        ops.onset(6, above=above, background=seconds), recut([level(x.tolist())], cuts)
    )
    top = np.maximum(before * 10 ** (above / 20), 6)
    assert found(both) == walk(x.tolist(), top, top, 0)


def test_silence_is_off_and_what_is_not_finite_is_no_background() -> None:
    operator = ops.onset(above=12, background=1.0)
    assert found(run_operator(operator, [level([0, 0, 0, 5, 0, 5])])) == [3, 5]
    strange = [1, 1, np.nan, np.inf, 1, 1, 9, 1]
    for cuts in ([], [2], [3, 4], [1, 2, 3, 4, 5, 6]):
        assert found(run_operator(operator, recut([level(strange)], cuts))) == [3, 6]
    assert found(run_operator(operator, [level([np.nan]), level([np.nan, 1, 9], 1)])) == [3]
    assert found(run_operator(ops.onset(5), [level([1, np.nan, 7, np.nan, 8, 1, 9])])) == [2, 6]


def test_channels() -> None:
    data = np.array([[0, 1], [0, 9], [9, 0], [2, 2], [0, 7]], float)
    out = run_operator(ops.onset(5), [chunk(data)])
    assert found(out) == [1, 4]
    assert out[0].data.tolist() == [[0, 9], [0, 7]]
    assert found(run_operator(ops.onset(5), [chunk(np.zeros((3, 0)))])) == []


@pytest.mark.parametrize(
    ("before", "after", "bridged", "anew"),
    [([1], [9, 1, 9], [5, 7], [7]), ([1, 9], [9, 1, 9], [1, 7], [1, 7]), ([9], [9], [], [])],
)
def test_gaps(before: list[int], after: list[int], bridged: list[int], anew: list[int]) -> None:
    gap = Gap(len(before) * MS, 5 * MS, 5 - len(before), "dropped")
    chunks = [level(before), level(after, 5, gap)]
    assert found(run_operator(ops.onset(5), chunks)) == bridged
    out = run_operator(ops.onset(5, on_gap="reset"), chunks)
    assert found(out) == anew
    assert out[1].gaps == (Gap(gap.start, gap.end, None, "dropped"),)
    assert found(run_operator(ops.onset(5, on_gap="reset"), [chunks[0], level(after, 5)])) == anew


def test_an_onset_keeps_its_evidence() -> None:
    info = StreamInfo("x", 1000.0, (), np.dtype(float))
    axes = [
        RegularAxis(k * 3 * MS, MS, 3, 0, float(k), Evidence(arrival=k, samples=3)) for k in (1, 2)
    ]
    values = np.array([0.0, 9, 0]), np.array([0.0, 0, 9])
    whole = concat([Chunk(v, a, a.at(0), a.at(3), 3 * k, info)
                    for k, (v, a) in enumerate(zip(values, axes, strict=True))])  # fmt: skip
    (out,) = run_operator(ops.onset(5), [whole])
    assert [(p.uncertainty, p.evidence) for p in out.axis.parts()] == [
        (1.0, axes[0].evidence), (2.0, axes[1].evidence),
    ]  # fmt: skip
    assert found([out]) == [4, 8]


def test_sound_and_rms_and_onset_find_when_it_began() -> None:
    t = np.arange(2000) / 1000
    sound = np.random.default_rng(3).standard_normal(2000) * np.where((t >= 1) & (t < 1.3), 1, 0.01)
    pipeline = (
        ops.filter_band(50, 400),
        ops.rms(0.02, every=0.001),
        ops.onset(above=20, holdoff=0.5),
    )
    out = run_operator(lambda s: s.pipe(*pipeline), recut([chunk(sound)], [999, 1001, 1500]))
    (when,) = found(out)
    assert 985 <= when <= 1005


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 3, "off": 1}, {"threshold": 3, "holdoff": 0.01},
        {"threshold": 3, "on_gap": "reset"}, {"above": 3, "off": 0, "background": 0.1},
        {"above": 3, "off": 0, "background": 0.1, "on_gap": "reset", "holdoff": 0.01},
    ],
)  # fmt: skip
def test_the_laws(options: dict[str, Any]) -> None:
    check_operator(
        lambda: ops.onset(**options), source=streams(NUMBERS), regroups=False, conserves=False
    )


def test_the_laws_of_irregular_streams() -> None:
    check_operator(lambda: ops.onset(3), source=streams(IRREGULAR), regroups=False, conserves=False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ops.onset(), r"a threshold, above= \[dB\], or both"),
        (lambda: ops.onset(float("nan")), "threshold must be a finite number, not nan"),
        (lambda: ops.onset("loud"), "threshold must be"),  # type: ignore[arg-type]
        (lambda: ops.onset(above=True), "above must be"),
        (lambda: ops.onset(3, off=4), "off must not be higher than what turns it on; 4 > 3"),
        (lambda: ops.onset(3, off=None, holdoff=-1), "holdoff must be >= 0"),
        (lambda: ops.onset(above=3, background=0), "background must be > 0"),
        (lambda: ops.onset(3, on_gap="keep"), "'reset' or 'bridge', not 'keep'"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_where_the_pipe_is_built(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_errors_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChunkError, match=r"ops.select\('id'\)"):
        run_operator(ops.onset(3), [chunk(np.zeros(2, [("id", "u4")]))])
    with pytest.raises(ChunkError, match=r"complex128.*ops.rms"):
        run_operator(ops.onset(3), [chunk(np.zeros(2, complex))])
    events = Chunk.stamped(np.zeros(1), [5], StreamInfo("keys", None, (), np.dtype(float)))
    with pytest.raises(ChunkError, match=r"keys has no rate.*ops.resample"):
        run_operator(ops.onset(above=3), [events])
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    ops.onset(3)
    with pytest.raises(MissingExtraError, match=r"rxstream\[signal\]"):
        ops.onset(above=3)
