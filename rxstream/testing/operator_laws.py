"""The laws that every operator obeys, and random streams for hypothesis."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from inspect import Signature, signature
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import reactivex as rx

try:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
except ImportError as error:
    from rxstream.errors import MissingExtraError

    msg = "rxstream.testing needs hypothesis: pip install 'rxstream[test]'"
    raise MissingExtraError(msg) from error
from numpy.typing import NDArray
from reactivex import Observable
from reactivex import operators as rxo
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream.data.checked import same_values
from rxstream.data.chunk import Chunk
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.heartbeats import is_heartbeat, keep_heartbeats
from rxstream.steps.stream import Stream
from rxstream.window.subject import TimeWindowSubject

__all__ = [
    "assert_live_equals_replay",
    "assert_same",
    "check_operator",
    "infos",
    "recut",
    "recut_by_time",
    "run_operator",
    "streams",
]

Operator: TypeAlias = Callable[[Observable[Chunk]], Observable[Any]]

_STRUCTURED = np.dtype([("id", np.uint32), ("value", np.float64), ("raw", np.uint8, (4,))])
_WHYS = ("overrun", "dropped", "lag", "disconnect", "restart", "suspended")


def infos(*, regular: bool = True, floating: bool = False) -> st.SearchStrategy[StreamInfo]:
    """Return a strategy of stream infos: plain, n-dimensional and structured samples.

    Parameters
    ----------
    regular
        With a rate, or without.
    floating
        Only floating point samples.
    """
    layouts: list[tuple[tuple[int, ...], Any]] = [
        ((), np.float64),
        ((2,), np.float32),
        ((3, 2), np.float64),
    ]
    if not floating:
        layouts += [((), np.int64), ((2,), np.int16), ((), _STRUCTURED)]
    rates = st.sampled_from([1000.0, 44_100.0, 30.0, 12.5]) if regular else st.none()

    def make(rate: float | None, layout: tuple[Any, Any]) -> StreamInfo:
        shape, dtype = layout
        return StreamInfo("stream", rate, shape, np.dtype(dtype), "V")

    return st.builds(make, rates, st.sampled_from(layouts))


def values(info: StreamInfo, first: int, n: int) -> NDArray[Any]:
    """Return samples ``(n, *shape)`` whose values are their own numbers, from ``first`` on."""
    data = np.zeros((n, *info.shape), info.dtype)
    numbers = np.arange(first, first + n).reshape((n,) + (1,) * len(info.shape))
    if info.dtype.names:
        data["id"], data["value"] = numbers, numbers * 0.5
    else:
        data[...] = numbers
        if info.shape:
            data[..., -1] *= -1
    return data


@st.composite
def streams(
    draw: st.DrawFn,
    info: st.SearchStrategy[StreamInfo] | None = None,
    *,
    gaps: bool = True,
    most: int = 8,
) -> list[Chunk]:
    """Return a strategy of streams: chunks in order, as a device would give them.

    Empty chunks, chunks of one sample, equal stamps (which `Chunk.stamped` sets apart), and gaps
    with known and unknown loss are among them.

    Parameters
    ----------
    info
        Of the stream; default: regular and irregular ones of every kind.
    gaps
        Whether samples are lost.
    most
        Chunks at most.
    """
    about = draw(st.one_of(infos(), infos(regular=False)) if info is None else info)
    t = draw(st.integers(0, 10**12))
    index = draw(st.integers(0, 1000))
    out: list[Chunk] = []
    gap: Gap | None = None
    for n in draw(st.lists(st.sampled_from([0, 1, 2, 3, 7, 40]), min_size=1, max_size=most)):
        data = values(about, index, n)
        if about.rate is not None:
            chunk = Chunk.regular(data, about, start=t, index=index, gap=gap)
        else:
            span = draw(st.integers(n + 1, 10**8))
            tick = draw(st.sampled_from([1, 1, 1000, 10**7]))  # a coarse clock: equal stamps
            steps = draw(st.lists(st.integers(0, span - 1), min_size=n, max_size=n))
            times = np.sort(np.array(steps, np.int64)) // tick * tick + t
            chunk = Chunk.stamped(data, times, about, start=t, end=t + span, index=index, gap=gap)
        out.append(chunk)
        t, index, gap = chunk.end, index + n, None
        if gaps and draw(st.integers(0, 3)) == 0:
            lost = draw(st.sampled_from([1, 3, 50, None]))
            length = draw(st.one_of(st.just(0), st.integers(1, 10**8)))
            if length and lost is not None and about.period is not None:
                length = round(lost * about.period)
            gap = Gap(t, t + length, lost, draw(st.sampled_from(_WHYS)))
            t, index = gap.end, index + (lost or 0)
    return out


def recut(chunks: Sequence[Chunk], cuts: Sequence[int]) -> list[Chunk]:
    """Return the same stream in other chunks, cut before the samples with these positions."""
    whole = concat(chunks)
    places = sorted({min(max(0, cut), len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = [whole[a:b] for a, b in pairwise(places)]
    return pieces or [whole]


def recut_by_time(chunks: Sequence[Chunk], shares: Sequence[float]) -> list[Chunk]:
    """Return the same stream in other chunks, cut at these shares (0 to 1) of its time.

    Cuts fall between samples and inside gaps, so chunks without samples are among them.
    """
    whole = concat(chunks)
    low, high = whole.covered_from, whole.end
    times = sorted({low + round(share * (high - low)) for share in shares} | {low, high})
    pieces = [whole.between(x, y) for x, y in pairwise(times)]
    return pieces or [whole]


def run_operator(
    operator: Operator, chunks: Sequence[Chunk], *, heartbeats: bool = True
) -> list[Any]:
    """Return what an operator gives for a stream; raise what it fails with.

    Parameters
    ----------
    operator
        As it stands in a pipe.
    chunks
        The stream.
    heartbeats
        Whether chunks without samples come in and out, as between operators; else as for a
        subscriber behind RxPY's operators.
    """
    out: list[Any] = []
    errors: list[Exception] = []
    ends: list[None] = []
    every = rx.from_iterable(chunks, scheduler=ImmediateScheduler())
    source = Stream[Chunk](
        lambda observer, scheduler: every.subscribe(observer, scheduler=scheduler)
    )
    if heartbeats:
        result = keep_heartbeats(source.pipe(operator))
    else:
        result = source.pipe(rxo.as_observable(), operator)
    result.subscribe(out.append, errors.append, lambda: ends.append(None))
    if errors:
        raise errors[0]
    assert len(ends) == 1, "the stream completes once"
    return out


def _joined(items: Sequence[Any]) -> Any:
    chunks = [item for item in items if isinstance(item, Chunk)]
    return concat(chunks) if chunks and len(chunks) == len(items) else list(items)


def assert_same(a: Sequence[Any], b: Sequence[Any], *, joined: bool = False) -> None:
    """Raise AssertionError at the first item that differs.

    With ``joined``, chunks are compared as one stream: where it is cut does not matter.
    """
    if joined and a and b and isinstance(a[0], Chunk) and isinstance(b[0], Chunk):
        one, other = _joined(a), _joined(b)
        assert one == other, f"{_shown(one)} is not {_shown(other)}"
        return
    for k, (x, y) in enumerate(zip(a, b, strict=False)):
        assert _equal(x, y), f"item {k}: {_shown(x)} is not {_shown(y)}"
    assert len(a) == len(b), f"{len(a)} items, and {len(b)}: {a[len(b) :]!r} {b[len(a) :]!r}"


def _shown(item: Any) -> str:
    """Return an item with the first and last of its values and times."""
    if not isinstance(item, Chunk):
        return repr(item)
    values = np.array2string(item.data, threshold=8, edgeitems=3)
    return f"{item!r} data {values} time {np.array2string(item.time, threshold=8, edgeitems=3)}"


@contextmanager
def _law(name: str) -> Iterator[None]:
    """Put the law that is tested before the message of what fails."""
    try:
        yield
    except AssertionError as error:
        msg = f"{name}: {error}"
        raise AssertionError(msg) from None


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, tuple) and isinstance(y, tuple):
        return len(x) == len(y) and all(_equal(p, q) for p, q in zip(x, y, strict=True))
    if is_dataclass(x) and not isinstance(x, type) and type(x) is type(y):
        return all(_equal(getattr(x, f.name), getattr(y, f.name)) for f in fields(x))
    if isinstance(x, np.ndarray | np.generic):
        return same_values(np.asarray(x), np.asarray(y))
    return bool(x == y) or (isinstance(x, float) and x != x and y != y)


def assert_live_equals_replay(
    operator: Operator, chunks: Sequence[Chunk], *, joined: bool = False
) -> None:
    """Raise AssertionError if an operator gives other items live than over the same past.

    Live: subscribed before the first chunk. Replay: the window's `past`, and `rewind` to its
    beginning, subscribed after the last.
    """
    subject = TimeWindowSubject(10**6)
    live: list[Any] = []
    errors: list[Exception] = []
    here = ImmediateScheduler()
    live_stream = keep_heartbeats(subject.pipe(operator))
    live_stream.subscribe(live.append, errors.append, scheduler=here)
    for chunk in chunks:
        subject.on_next(chunk)
    subject.on_completed()
    past: list[Any] = []
    keep_heartbeats(subject.past().pipe(operator)).subscribe(past.append, errors.append)
    again: list[Any] = []
    start = subject.rewind(to=chunks[0].covered_from - 1)
    rewound = keep_heartbeats(start.pipe(operator))
    rewound.subscribe(again.append, errors.append, scheduler=here)
    if errors:
        raise errors[0]
    assert_same(live, past, joined=joined)
    assert_same(live, again, joined=joined)


def _check_rx(make: Callable[[], Operator], chunks: Sequence[Chunk]) -> None:
    """Errors are forwarded and final; nothing comes after an error or a dispose."""
    source: Subject[Chunk] = Subject()
    events: list[Any] = []
    boom = RuntimeError("boom")
    source.pipe(make()).subscribe(
        lambda item: events.append(("next", item)),
        lambda error: events.append(("error", error)),
        lambda: events.append(("done", None)),
    )
    for chunk in chunks[:-1]:
        source.on_next(chunk)
    source.on_error(boom)
    assert events[-1] == ("error", boom), "an error of the source goes on to the subscriber"
    assert [kind for kind, _ in events].count("error") == 1
    other: Subject[Chunk] = Subject()
    got: list[Any] = []
    subscription = other.pipe(make()).subscribe(got.append)
    for chunk in chunks[:-1]:
        other.on_next(chunk)
    count = len(got)
    subscription.dispose()
    other.on_next(chunks[-1])
    other.on_completed()
    assert len(got) == count, "nothing comes after dispose"


def _decided(items: Sequence[Any], last: int, *, joined: bool) -> list[Any]:
    """Return times and values before the time of the ``last`` sample of the input [ns].

    Without heartbeats, where a stream ends is known only as far as its last chunk with samples
    covers, and that depends on the cut.
    """
    chunks = [item for item in items if isinstance(item, Chunk) and len(item)]
    if joined and chunks:
        whole = concat(chunks)
        chunks = [whole.between(whole.covered_from, max(whole.covered_from, last))]
    return [
        chunk._replace(start=int(chunk.time[0]), end=int(chunk.time[-1]) + 1, gap_positions=())
        for chunk in chunks
        if len(chunk) and chunk.end <= last
    ]


def _check_conserved(out: Sequence[Any], chunks: Sequence[Chunk]) -> None:
    whole, result = concat(chunks), _joined(out)
    if not out:
        assert len(whole) == 0, f"all {len(whole)} samples are gone"
        assert whole.lost == 0
        return
    np.testing.assert_array_equal(result.time, whole.time)
    assert len(result) == len(whole), f"{len(whole)} samples in, {len(result)} out"
    assert result.lost == whole.lost, f"{whole.lost} samples lost before, {result.lost} after"


def _check_maker(make: Any) -> None:
    name = getattr(make, "__name__", "") or type(make).__name__
    msg = (
        f"check_operator takes what makes an operator, check_operator(rms_of) or "
        f"check_operator(lambda: rms_of(0.5)), not {name}, "
    )
    if not callable(make):
        raise ParameterError(f"{msg}which cannot be called")
    try:
        arguments = signature(make)
    except ValueError:  # of some callables nobody knows them
        arguments = Signature()
    try:
        arguments.bind()
    except TypeError as error:
        raise ParameterError(f"{msg}which cannot be called without arguments") from error
    operator = make()
    if hasattr(operator, "push"):
        msg = f"check_operator({name}): that is a step; say check_operator(lambda: lift({name}))"
        raise ParameterError(msg)
    if not callable(operator):
        raise ParameterError(f"{msg}which gives {shown(operator)}")


def check_operator(
    make: Callable[[], Operator],
    *,
    source: st.SearchStrategy[list[Chunk]] | None = None,
    regroups: bool = True,
    conserves: bool = True,
    examples: int | None = None,
) -> None:
    """Check that an operator on chunks obeys the laws, on random streams.

    The result does not depend on how the input was cut, with heartbeats and without; nothing is
    lost or doubled unless a gap says so; live and replay give the same; a fresh subscription is a
    fresh state; errors are forwarded, the end comes once, nothing comes after dispose. The streams
    have empty chunks, chunks of one sample, gaps, n-dimensional and structured samples.

    Parameters
    ----------
    make
        Makes the operator.
    source
        Streams to use, from `streams`.
    regroups
        Whether the operator decides itself where its chunks begin (`rechunk`); else it works
        chunk by chunk, and results are compared as one stream.
    conserves
        Whether every sample comes out again, once.
    examples
        How many streams; default: the profile's.

    Raises
    ------
    AssertionError
        With the smallest stream that breaks a law.
    ParameterError
        If ``make`` does not make an operator, as an operator itself, or a function that has to
        be given something.
    """
    _check_maker(make)
    joined = not regroups

    def laws(chunks: list[Chunk], cuts: list[int], shares: list[float]) -> None:
        operator = make()
        out = run_operator(operator, chunks)
        with _law("a fresh subscription is a fresh state"):
            assert_same(run_operator(operator, chunks), out)
        with _law("the result does not depend on how the input was cut"):
            assert_same(run_operator(operator, recut(chunks, cuts)), out, joined=joined)
            assert_same(run_operator(operator, recut_by_time(chunks, shares)), out, joined=joined)
        plain = run_operator(operator, chunks, heartbeats=False)
        again = run_operator(operator, recut(chunks, cuts), heartbeats=False)
        last = max((int(chunk.time[-1]) for chunk in chunks if len(chunk)), default=0)
        with _law("nor without heartbeats"):
            assert_same(_decided(again, last, joined=joined), _decided(plain, last, joined=joined))
        assert not any(map(is_heartbeat, plain[:-1])), "a subscriber gets samples in every chunk"
        for item in out:
            if isinstance(item, Chunk) and len(item):
                assert item.start <= item.time[0] <= item.time[-1] < item.end
                assert (np.diff(item.time) > 0).all(), "each sample has a time of its own"
                assert not item.data.flags.writeable
        if conserves:
            with _law("nothing is lost or doubled"):
                _check_conserved(out, chunks)
        with _law("live equals replay"):
            assert_live_equals_replay(operator, chunks, joined=joined)
        _check_rx(make, chunks)

    given_streams = streams() if source is None else source
    samples = st.lists(st.integers(0, 120), max_size=6)
    shares_of_time = st.lists(st.floats(0, 1), max_size=6)
    test = given(given_streams, samples, shares_of_time)(laws)
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    if examples is not None:
        test = settings(max_examples=examples, suppress_health_check=quiet, deadline=None)(test)
    test()
