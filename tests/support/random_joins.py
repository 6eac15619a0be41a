"""Random joins of several streams from numbered seeds, and the laws that each of them obeys."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from join_drivers import LONG
from random_streams import LAYOUTS, random_cuts, random_stream
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, TimeWindowSubject, concat
from rxstream import operators as ops
from rxstream.errors import RxStreamError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import assert_same

__all__ = ["Join", "breaks_join", "random_join"]

Random: TypeAlias = np.random.Generator
Ports: TypeAlias = list[list[Chunk[Any]]]


@dataclass(frozen=True)
class Join:
    """An operator on several streams, and these.

    Attributes
    ----------
    text
        How it is written.
    make
        ``make(*others)`` makes it.
    ports
        The streams, the source first.
    """

    text: str
    make: Callable[..., Any]
    ports: Ports

    @property
    def is_capture(self) -> bool:
        """Whether its other streams need a past."""
        return self.text.startswith("capture")


class BoomError(Exception):
    """The error of a partner that fails."""


def random_join(seed: int) -> Join:
    """Return a join, the same for one seed."""
    rng = np.random.default_rng(seed)
    kind = str(
        rng.choice(("align", "align", "merge_by_time", "join_windows", "resample", "capture"))
    )
    count = 2 if kind == "resample" else int(rng.integers(2, 4))
    begins = [10**12 + int(rng.integers(0, 10**8)) for _ in range(count)]
    ports = [_stream(rng, f"s{k}", begin) for k, begin in enumerate(begins)]
    if kind == "capture":
        ports[0] = random_stream(
            rng, "irregular", "scalar", name="s0", begin=begins[0], loose=False
        )
    method: Any = str(rng.choice(("nearest", "previous", "linear")))
    tolerance, span = float(rng.choice((0, 0.002, 0.05))), float(rng.choice((0.02, 0.1)))
    if kind == "align":
        text = f"align({method!r}, {tolerance})"
        make: Callable[..., Any]
        make = lambda *others: ops.align(  # noqa: E731
            *others, method=method, tolerance=tolerance, lateness=LONG
        )
    elif kind == "merge_by_time":
        text = kind
        make = lambda *others: ops.merge_by_time(*others, lateness=LONG)  # noqa: E731
    elif kind == "join_windows":
        every = float(rng.choice((span, span / 2, 1.5 * span)))
        text = f"join_windows({span}, every={every})"
        make = lambda *others: ops.join_windows(  # noqa: E731
            *others, duration=span, every=every, lateness=LONG
        )
    elif kind == "resample":
        way: Any = "previous" if method == "nearest" else method
        text = f"resample(onto=, {way!r})"
        make = lambda other: ops.resample(onto=other, method=way, lateness=LONG)  # noqa: E731
    else:
        merge = bool(rng.random() < 0.5)
        text = f"capture({span}, {tolerance}, merge={merge})"
        make = lambda *others: ops.capture(  # noqa: E731
            *others, before=span, after=tolerance, merge=merge, lateness=10**5, max_duration=10**5
        )
    return Join(text, make, ports)


def _stream(rng: Random, name: str, begin: int) -> list[Chunk[Any]]:
    kind = str(rng.choice(("grid", "drifting", "stamped", "irregular", "irregular")))
    layout = str(rng.choice(list(LAYOUTS)))
    stream = random_stream(rng, kind, layout, name=name, begin=begin, loose=False)
    # now and then a stream has nothing to say
    return [] if rng.random() < 0.05 else stream


def _play(
    join: Join, ports: Ports, rng: Random | None, failing: int | None = None
) -> list[Any] | str:
    """Return what comes out when the ports take turns at random, or one after the other.

    Parameters
    ----------
    failing
        A port that ends with an error.
    """
    here = ImmediateScheduler()
    feeds: list[Any] = [Subject() for _ in ports]
    if join.is_capture:
        feeds[1:] = [TimeWindowSubject(10**6, name=f"s{k}") for k in range(1, len(ports))]
    out: list[Any] = []
    errors: list[Exception] = []
    ends: list[None] = []
    joined = keep_heartbeats(feeds[0].pipe(join.make(*feeds[1:])))
    joined.subscribe(out.append, errors.append, lambda: ends.append(None), scheduler=here)
    turns = [k for k, port in enumerate(ports) for _ in port]
    if rng is not None:
        rng.shuffle(turns)
    left = [iter(port) for port in ports]
    for k in turns:
        feeds[k].on_next(next(left[k]))
    for k, feed in enumerate(feeds):
        if k == failing:
            feed.on_error(BoomError())
        else:
            feed.on_completed()
    if errors and not isinstance(errors[0], RxStreamError | BoomError):
        raise errors[0]
    assert len(ends) + len(errors) == 1, "it ends once"
    return type(errors[0]).__name__ if errors else out


def breaks_join(join: Join, seed: int) -> str | None:
    """Return which law a join breaks, or None.

    The laws: what comes out depends neither on the cuts of its streams nor on the order in which
    they arrive; an error of a partner comes out, and of `capture` the clips without it.
    """
    rng = np.random.default_rng(seed)
    law = "it raises only our own errors"
    try:
        first = _play(join, join.ports, None)
        law = "the order of arrival does not matter"
        _same(join, _play(join, join.ports, rng), first)
        cuts: list[list[list[Chunk[Any]]]] = [
            random_cuts(rng, port) if port else [[]] * 3 for port in join.ports
        ]
        for k in range(3):
            law = f"results do not depend on the cut (cut {k})"
            _same(join, _play(join, [cut[k] for cut in cuts], rng), first)
        law = "a partner that fails"
        found = _play(join, join.ports, rng, failing=len(join.ports) - 1)
        _check_failed(join, found, first)
    except Exception as error:  # whatever it is: that is the finding
        return f"{law}: {type(error).__name__}: {error}"
    return None


def _check_failed(join: Join, found: list[Any] | str, first: list[Any] | str) -> None:
    if not join.is_capture:
        assert found == "BoomError" or isinstance(first, str) or not _may_fail(join)
        return
    assert isinstance(found, list)
    assert isinstance(first, list)
    assert [(clip.start, clip.end) for clip in found] == [(c.start, c.end) for c in first]
    name = f"s{len(join.ports) - 1}"
    for clip, whole in zip(found, first, strict=True):
        reasons = {part.reason for part in clip.missing if part.stream == name}
        before = {part.reason for part in whole.missing if part.stream == name}
        assert "stream ended" not in reasons
        assert ("stream failed" in reasons) == ("stream ended" in before)


def _may_fail(join: Join) -> bool:
    """Whether the error of a partner comes out: not behind an `align` that has ended before."""
    return not join.text.startswith(("align", "resample"))


def _same(join: Join, one: list[Any] | str, other: list[Any] | str) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, f"{one!s:.300} is not {other!s:.300}"
        return
    if join.text.startswith("align"):
        one, other = _side_by_side(one), _side_by_side(other)
    elif join.text.startswith("merge"):
        one, other = _by_stream(one), _by_stream(other)
    assert_same(one, other, joined=join.text.startswith("resample"))


def _side_by_side(pairs: Sequence[tuple[Chunk[Any], ...]]) -> list[Any]:
    """Return each stream of the tuples as one chunk."""
    return [concat(chunks) for chunks in zip(*pairs, strict=True)]


def _by_stream(chunks: Sequence[Chunk[Any]]) -> list[Any]:
    """Return the order of the samples, and each stream as one chunk."""
    streams: dict[str, list[Chunk[Any]]] = {}
    order = list[tuple[int, str]]()
    for chunk in chunks:
        streams.setdefault(chunk.info.name, []).append(chunk)
        order += [(t, chunk.info.name) for t in chunk.time.tolist()]
    assert [t for t, _ in order] == sorted(t for t, _ in order), "in the order of their times"
    return [order, *(concat(streams[name]) for name in sorted(streams))]
