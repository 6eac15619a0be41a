"""Several devices that run at the same time, what operators make of them live, and again."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import reactivex as rx
from reactivex import Observable
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxstream import Chunk, Device, TimeWindowSubject, concat
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import recut, recut_by_time

HERE = ImmediateScheduler()
Normal = Callable[[Sequence[Any]], list[Any]]


def joined(items: Sequence[Any]) -> list[Any]:
    """Return chunks as one: it does not matter where the operator has cut them."""
    return [concat(items)] if items else []


def holes(items: Sequence[Any]) -> list[Any]:
    """Return samples, and from when to when there are none: how many is not known at once."""
    whole = concat(items)
    spans: list[list[int]] = []
    for gap in whole.gaps:
        if spans and gap.start == spans[-1][1]:
            spans[-1][1] = gap.end
        else:
            spans.append([gap.start, gap.end])
    return [whole.data, whole.time, spans]


def side_by_side(items: Sequence[Any]) -> list[Any]:
    """Return tuples of chunks as one tuple."""
    return [tuple(concat(chunks) for chunks in zip(*items, strict=True))] if items else []


def merged(items: Sequence[Any]) -> list[Any]:
    """Return each stream as one chunk, and in which order their samples came."""
    each: dict[str, list[Chunk]] = {}
    for chunk in items:
        each.setdefault(chunk.info.name, []).append(chunk)
    order = [(t, chunk.info.name) for chunk in items for t in chunk.time.tolist()]
    assert all(a <= b for (a, _), (b, _) in pairwise(order)), "samples come in order"
    return [concat(each[name]) for name in sorted(each)] + order


def reported(items: Sequence[Any]) -> list[Any]:
    """Return what is `Unmatched`: for each partner and reason the times."""
    times: dict[tuple[str, str], list[int]] = {}
    for item in items:
        times.setdefault((item.partner, item.reason), []).extend(item.chunk.time.tolist())
    return sorted(times.items())


@dataclass(frozen=True)
class Case:
    """An operator to be tried.

    Attributes
    ----------
    make
        ``make(*others)`` makes it.
    ports
        The names of its source and its other inputs.
    normal
        Brings results to a form that does not depend on how the streams were cut; None: what it
        gives is about the chunks themselves, so only the same chunks give the same.
    again
        Makes it for streams without a window, if ``make`` needs one.
    late
        Subscribed to when all has long been running.
    windows
        Whether the other inputs must keep a past.
    """

    make: Callable[..., Any]
    ports: tuple[str, ...]
    normal: Normal | None = list
    again: Callable[..., Any] | None = None
    late: bool = False
    windows: bool = False


@dataclass
class Heard:
    """What devices gave: their chunks, and each operator's output live and over their past."""

    past: dict[str, list[Chunk]]
    live: dict[str, list[Any]] = field(default_factory=dict)
    replayed: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class _Results:
    """What one subscription gave, until it is over."""

    items: list[Any] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, stream: Observable[Any], scheduler: ImmediateScheduler | None = None) -> "_Results":
        results = cls()
        keep_heartbeats(stream).subscribe(
            results.items.append, results._failed, results.over.set, scheduler=scheduler
        )
        return results

    def _failed(self, error: Exception) -> None:
        self.errors.append(error)
        self.over.set()

    def wait(self) -> list[Any]:
        assert self.over.wait(30), "it ends"
        if self.errors:
            raise self.errors[0]
        return self.items


def hear(devices: Mapping[str, Device], cases: Mapping[str, Case], late: float) -> Heard:
    """Run all devices to their end, and all operators over them; then over their pasts.

    Parameters
    ----------
    late
        When the late ones are subscribed to [s of stream time].
    """

    def begin(case: Case) -> _Results:
        first, *others = (devices[port] for port in case.ports)
        return _Results.of(first.pipe(case.make(*others)))

    live = {name: begin(case) for name, case in cases.items() if not case.late}
    running = threading.Event()
    started: list[int] = []

    def watch(chunk: Chunk) -> None:
        started.append(chunk.start)
        if chunk.end - started[0] > late * 1e9:
            running.set()

    next(iter(devices.values())).subscribe(watch)
    with contextlib.ExitStack() as stack:
        for device in devices.values():
            stack.enter_context(device)
        assert running.wait(30)
        live |= {name: begin(case) for name, case in cases.items() if case.late}
        heard = Heard({}, {name: results.wait() for name, results in live.items()})
        for name, device in devices.items():
            assert device.wait(30)
            heard.past[name] = _Results.of(device.past()).wait()
        for name, case in cases.items():
            first, *others = (devices[port] for port in case.ports)
            make = case.again or case.make
            streams = others if case.windows else [other.past() for other in others]
            heard.replayed[name] = _Results.of(first.past().pipe(make(*streams))).wait()
    return heard


def play(case: Case, ports: Sequence[Sequence[Chunk]], turns: Sequence[int]) -> list[Any]:
    """Return what comes out when the ports take turns so, then in order, and then all end.

    Unlike that of `joins`, it waits for operators with threads of their own, and the other inputs
    may keep a past.
    """
    sources: list[Any] = [Subject() for _ in ports]
    if case.windows:
        sources[1:] = [TimeWindowSubject(60, name=name, clock=lambda: 0) for name in case.ports[1:]]
    make = case.again or case.make
    results = _Results.of(sources[0].pipe(make(*sources[1:])), HERE if case.windows else None)
    left = [list(port) for port in ports]
    for port in (*turns, *(k for k, chunks in enumerate(ports) for _ in chunks)):
        if left[port]:
            sources[port].on_next(left[port].pop(0))
    for source in sources:
        source.on_completed()
    return results.wait()


def cold(case: Case, ports: Sequence[Sequence[Chunk]]) -> list[Any]:
    """Return what comes out when each port gives all it has as soon as it is subscribed to."""
    first, *others = (rx.from_iterable(port) for port in ports)
    return _Results.of(first.pipe(case.make(*others))).wait()


def cuts(past: list[Chunk], rng: np.random.Generator) -> Iterator[list[Chunk]]:
    """Give the same stream in other chunks: as it was, whole, in few and in many pieces."""
    samples = len(concat(past))
    yield past
    yield recut(past, [])
    for pieces in (5, 60):
        yield recut(past, rng.integers(0, samples, pieces).tolist())
        yield recut_by_time(past, rng.random(pieces).tolist())
