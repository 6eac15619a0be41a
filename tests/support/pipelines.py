"""Random pipelines from numbered seeds, and the laws that each of them obeys."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import reactivex as rx
from numpy.typing import NDArray
from random_streams import LAYOUTS, random_cuts, random_stream

from rxstream import Chunk, concat
from rxstream import operators as ops
from rxstream.errors import RxStreamError
from rxstream.testing import assert_live_equals_replay, assert_same, run_operator

__all__ = ["Operator", "Pipeline", "breaks", "random_pipeline", "smallest"]

Random: TypeAlias = np.random.Generator
# Results of these begin where they decide; of the others, where the chunks they are given do.
_REGROUPING = {"rechunk", "window_by_time", "sessions", "gaps", "samples"}
_CONSERVING = {"rechunk", "map_data", "scan_data", "ignore_gaps", "detect_gaps", "select"}


@dataclass(frozen=True)
class Operator:
    """One operator of a pipeline.

    Attributes
    ----------
    text
        How it is written.
    make
        Makes it anew.
    """

    text: str
    make: Callable[[], Any]

    @property
    def name(self) -> str:
        """Its name."""
        return self.text.split("(")[0]


@dataclass(frozen=True)
class Pipeline:
    """A stream, and what it goes through."""

    stream: list[Chunk[Any]]
    operators: tuple[Operator, ...]

    def __str__(self) -> str:
        return " | ".join(one.text for one in self.operators)

    def make(self) -> Any:
        """Return the operators as one."""
        return rx.compose(*[one.make() for one in self.operators])

    @property
    def joined(self) -> bool:
        """Whether where results are cut depends on where the stream was cut."""
        return not any(one.name in _REGROUPING for one in self.operators)


def _flat(data: NDArray[Any]) -> NDArray[np.float64]:
    """Return one number for each sample."""
    if data.dtype.names:
        data = data["value"]
    return np.nan_to_num(data.reshape(len(data), -1)[:, 0].astype(np.float64))


def _gate(rng: Random) -> Operator:
    options = {
        "hold": float(rng.choice((0.0, 0.0, 0.02))),
        "before": float(rng.choice((0.0, 0.0, 0.03))),
        "after": float(rng.choice((0.0, 0.0, 0.03))),
    }
    level = float(rng.choice((1.0, 3.0)))

    def opens(x: NDArray[Any]) -> Any:
        return _flat(x) >= level

    def closes(x: NDArray[Any]) -> Any:
        return _flat(x) < level - 1

    return Operator(
        f"gate({level}, {level - 1}, {options})", lambda: ops.gate(opens, closes, **options)
    )


def _rechunk(rng: Random) -> Operator:
    size, gap = int(rng.choice((1, 2, 4, 9))), str(rng.choice(("mark", "split")))
    hop = int(rng.choice((size, size, max(1, size - 1), size + 2)))
    return Operator(
        f"rechunk({size}, hop={hop}, on_gap={gap!r})",
        lambda: ops.rechunk(size, hop=hop, on_gap=gap),  # type: ignore[arg-type]
    )


def _window(rng: Random) -> Operator:
    span = float(rng.choice((0.013, 0.05, 0.2)))
    every = float(rng.choice((span, span, span / 2, 0.03, 1.5 * span)))
    gap = str(rng.choice(("mark", "split", "drop", "nan")))
    return Operator(
        f"window_by_time({span}, every={every}, on_gap={gap!r})",
        lambda: ops.window_by_time(span, every=every, on_gap=gap),  # type: ignore[arg-type]
    )


def _sessions(rng: Random) -> Operator:
    pause, around = float(rng.choice((0.001, 0.01, 0.05))), float(rng.choice((0, 0, 0.01)))
    return Operator(
        f"sessions({pause}, before={around}, after={around})",
        lambda: ops.sessions(pause, before=around, after=around),
    )


def _resample(rng: Random) -> Operator:
    rate, method = float(rng.choice((50.0, 120.0, 8.0))), str(rng.choice(("linear", "previous")))
    tolerance = (None, None, 0.02)[int(rng.integers(3))]
    if rng.random() < 0.2:
        method, tolerance = "polyphase", None
    return Operator(
        f"resample({rate}, method={method!r}, tolerance={tolerance})",
        lambda: ops.resample(rate, method=method, tolerance=tolerance),  # type: ignore[arg-type]
    )


def _fill_gaps(rng: Random) -> Operator:
    how: Any = (0, "previous", "linear", float("nan"))[int(rng.integers(4))]
    return Operator(f"fill_gaps({how!r})", lambda: ops.fill_gaps(how))


def _signal(rng: Random) -> Operator:
    span = float(rng.choice((0.02, 0.1)))
    choices: list[tuple[str, Callable[[], Any]]] = [
        ("filter_band(None, 4)", lambda: ops.filter_band(None, 4)),
        (
            "filter_band(1, None, on_gap='bridge')",
            lambda: ops.filter_band(1, None, on_gap="bridge"),
        ),
        ("sosfilt(...)", lambda: ops.sosfilt([[0.5, 0.25, 0, 1, -0.3, 0]], initial="steady")),
        ("decimate(3)", lambda: ops.decimate(3)),
        ("decimate(2, kind='iir')", lambda: ops.decimate(2, kind="iir")),
        (f"rms({span})", lambda: ops.rms(span)),
        (f"rms({span}, every=0.01)", lambda: ops.rms(span, every=0.01)),
        (f"spectrogram({span})", lambda: ops.spectrogram(span)),
        ("onset(3)", lambda: ops.onset(3)),
        ("onset(above=3, holdoff=0.02)", lambda: ops.onset(above=3, holdoff=0.02)),
    ]
    return Operator(*choices[int(rng.integers(len(choices)))])


def _total(before: Any, data: NDArray[Any]) -> tuple[NDArray[Any], Any]:
    sums = before + np.cumsum(np.ones(len(data)))
    return sums, sums[-1]


def _simple(rng: Random) -> Operator:
    gap = str(rng.choice(("reset", "bridge")))
    choices: list[tuple[str, Callable[[], Any]]] = [
        ("map_data(copy)", lambda: ops.map_data(lambda x: x.copy())),
        ("map_data(flat)", lambda: ops.map_data(_flat)),
        (f"scan_data(count, on_gap={gap!r})",
         lambda: ops.scan_data(_total, 0.0, on_gap=gap)),  # type: ignore[arg-type]
        ("ignore_gaps()", ops.ignore_gaps),
        ("detect_gaps()", ops.detect_gaps),
        ("detect_gaps(tolerance=0.05)", lambda: ops.detect_gaps(tolerance=0.05)),
    ]  # fmt: skip
    return Operator(*choices[int(rng.integers(len(choices)))])


def _ending(rng: Random) -> Operator:
    return (Operator("gaps()", ops.gaps), Operator("samples()", ops.samples))[int(rng.integers(2))]


_ANY = (_gate, _rechunk, _window, _resample, _simple, _simple)


def random_pipeline(seed: int) -> Pipeline:
    """Return a pipeline, the same for one seed."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(("grid", "grid", "drifting", "stamped", "irregular", "irregular")))
    layout = str(rng.choice(list(LAYOUTS)))
    stream = random_stream(rng, kind, layout, loose=bool(rng.random() < 0.5))
    operators: list[Operator] = []
    if layout == "structured" and rng.random() < 0.7:
        operators.append(Operator("select('value')", lambda: ops.select("value")))
    count = int(rng.integers(2, 5))
    makers = (
        [*_ANY, _sessions, _sessions]
        if kind == "irregular"
        else [*_ANY, _fill_gaps, _signal, _signal]
    )
    while len(operators) < count:
        operators.append(makers[int(rng.integers(len(makers)))](rng))
    if rng.random() < 0.1:
        operators[-1] = _ending(rng)
    return Pipeline(stream, tuple(operators))


def _outcome(operator: Any, chunks: Sequence[Chunk[Any]]) -> list[Any] | str:
    """Return what comes out, or the kind of error that it fails with."""
    try:
        return run_operator(operator, chunks)
    except RxStreamError as error:
        return type(error).__name__


def _same(one: list[Any] | str, other: list[Any] | str, *, joined: bool) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, f"{one!s:.300} is not {other!s:.300}"
        return
    if not any(map(_is_chunk, one)) or not any(map(_is_chunk, other)):
        assert_same(one, other, joined=joined)
        return
    assert_same(*map(_numbered, (one, other)), joined=joined)


def _is_chunk(item: Any) -> bool:
    return isinstance(item, Chunk)


def _numbered(items: list[Any]) -> list[Any]:
    """Return chunks without a number up to the first sample: what it will be, nobody knows."""
    first = next((k for k, item in enumerate(items) if len(item)), len(items))
    return [item._replace(index=0) if k < first else item for k, item in enumerate(items)]


def breaks(pipeline: Pipeline, seed: int) -> str | None:
    """Return which law a pipeline breaks, or None.

    The laws: a result does not depend on how the stream was cut; a fresh subscription is a fresh
    state; live and replay give the same; nothing is lost or doubled.
    """
    rng, stream, joined = np.random.default_rng(seed), pipeline.stream, pipeline.joined
    operator = pipeline.make()
    law = "it raises only our own errors"
    try:
        first = _outcome(operator, stream)
        law = "a fresh subscription is a fresh state"
        _same(_outcome(operator, stream), first, joined=False)
        for k, other in enumerate(random_cuts(rng, stream)):
            law = f"results do not depend on the cut (cut {k})"
            _same(_outcome(operator, other), first, joined=joined)
        if not isinstance(first, str):
            law = "live equals replay"
            assert_live_equals_replay(operator, stream, joined=joined)
            law = "chunks follow each other"
            _check_order(first)
            law = "nothing is lost or doubled"
            _check_conserved(pipeline, first)
    except Exception as error:  # whatever it is: that is the finding
        return f"{law}: {type(error).__name__}: {error}"
    return None


def _check_order(out: list[Any]) -> None:
    for item in out:
        if isinstance(item, Chunk) and len(item):
            times = item.time
            assert item.start <= times[0], f"{item!r}: its first sample is before its start"
            assert times[-1] < item.end, f"{item!r}: its last sample is after its end"
            assert (np.diff(times) > 0).all(), f"{item!r}: times do not rise"


def _check_conserved(pipeline: Pipeline, out: list[Any]) -> None:
    names = [one.name for one in pipeline.operators]
    hops = any("hop=" in one.text and not _is_whole(one.text) for one in pipeline.operators)
    if set(names) - _CONSERVING or hops:
        return
    whole = concat(pipeline.stream)
    found = [chunk.time for chunk in out]
    times = np.concatenate(found) if found else np.empty(0, np.int64)
    np.testing.assert_array_equal(times, whole.time)


def _is_whole(text: str) -> bool:
    """Whether a ``rechunk(size, hop=...)`` leaves nothing out and repeats nothing."""
    size, hop = text.removeprefix("rechunk(").split(",")[:2]
    return int(size) == int(hop.split("=")[1])


def smallest(pipeline: Pipeline, seed: int) -> Pipeline:
    """Return a part of a pipeline that breaks a law too, of which no smaller one found does."""
    while True:
        smaller = [
            Pipeline(pipeline.stream, (*pipeline.operators[:k], *pipeline.operators[k + 1 :]))
            for k in range(len(pipeline.operators))
            if len(pipeline.operators) > 1
        ]
        smaller += [
            Pipeline(part, pipeline.operators)
            for part in (pipeline.stream[1:], pipeline.stream[:-1])
            if part
        ]
        found = next((one for one in smaller if breaks(one, seed)), None)
        if found is None:
            return pipeline
        pipeline = found
