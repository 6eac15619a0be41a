"""Every operator, with the streams it is tried on."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import reactivex as rx
from reactivex import Observable, abc
from simulated_streams import Case, holes, joined, merged, reported, side_by_side

from rxstream import Chunk, Device, DeviceCounter
from rxstream import operators as ops
from rxstream.devices import Simulated
from rxstream.devices.simulated import Delay, Drops, Stalls

SECONDS = 2.0
PATIENT = 30.0  # [s]: longer than all, so that a slow machine makes nobody late
SOS = [[0.1, 0.2, 0.1, 1.0, -1.2, 0.5], [1.0, -1.0, 0.0, 1.0, -0.9, 0.0]]

# of the messages of Simulated.can
CAR = """VERSION ""
BO_ 256 Engine: 8 ECU
 SG_ Speed : 0|16@1+ (0.25,0) [0|0] "rpm" ECU
BO_ 784 Doors: 1 ECU
 SG_ Driver : 0|1@1+ (1,0) [0|0] "" ECU
"""

EXEMPT = {
    "JoinedWindow": "what join_windows gives",
    "Sample": "what samples gives",
    "Unmatched": "what align reports",
    "latest": "which chunks it leaves out depends on how fast the subscriber is",
}


def bursts(index: Any) -> Any:
    """Return noise that is a hundred times louder one tenth of the time."""
    noise = np.sin(index * 0.7 + np.sin(index * 12.9898) * 43.758)
    loud = np.where(index % 2000 < 200, 1.0, 0.01)
    return np.stack((noise * loud, -noise * loud / 2), axis=1).astype(np.float32)


def devices() -> dict[str, Device]:
    """Return a sound and a level that lose blocks, are late and unplugged; frames, events, CAN."""
    sound = Simulated(
        8000.0, (2,), signal=bursts, blocksize=80, ppm=120, seed=3, counter=DeviceCounter(32),
        duration=SECONDS, name="sound", unplugs=((1.0, 0.2),),
        drops=Drops(every=0.3), stalls=Stalls(every=0.5, length=0.05),
    )  # fmt: skip
    level = Simulated(
        200.0, (), np.float64, blocksize=4, frequency=3, ppm=-300, seed=5,
        counter=DeviceCounter(32), duration=SECONDS, name="level", drops=Drops(every=0.4),
        unplugs=((0.6, 0.1),),
    )  # fmt: skip
    frames = Simulated(
        30.0, (2, 3), np.uint8, signal="noise", ppm=-22, seed=6, duration=SECONDS, name="frames",
        delay=Delay(0.015, 0.009, "lognormal"),
    )  # fmt: skip
    events = Simulated(
        30.0, (), np.int32, signal="ramp", irregular=True, seed=4, duration=SECONDS, name="events"
    )
    bus = Simulated.can(duration=SECONDS, name="bus")
    return {
        sim.name: Device(sim, reconnect=0.01) for sim in (sound, level, frames, events, bus)
    }  # fmt: skip


def total(before: Any, data: Any) -> tuple[Any, Any]:
    sums = np.cumsum(np.concatenate((before, data)), axis=0)[1:]
    return sums, sums[-1:]


def negative(chunk: Chunk) -> Chunk:
    return chunk.with_data(-chunk.data)


async def soon(chunk: Chunk) -> Chunk:
    await asyncio.sleep(0)
    return negative(chunk)


def on(stream: str, **cases: tuple[Callable[[], Any], bool]) -> dict[str, Case]:
    """Return cases of one stream; the bool: whether the operator decides where chunks begin."""
    return {
        f"{name.replace('__', '-')} {stream}": Case(make, (stream,), list if regroups else joined)
        for name, (make, regroups) in cases.items()
    }


SINGLE: dict[str, Case] = {
    **on(
        "sound",
        rechunk=(lambda: ops.rechunk(100), True),
        rechunk__hop=(lambda: ops.rechunk(100, hop=33), True),
        rechunk__seconds=(lambda: ops.rechunk(duration=0.03), True),
        window_by_time=(lambda: ops.window_by_time(0.1), True),
        window_by_time__sliding=(lambda: ops.window_by_time(0.1, every=0.025), True),
        window_by_time__split=(lambda: ops.window_by_time(0.1, on_gap="split"), True),
        window_by_time__nan=(lambda: ops.window_by_time(0.1, on_gap="nan"), True),
        window_by_time__drop=(lambda: ops.window_by_time(0.1, on_gap="drop"), True),
        map_data=(lambda: ops.map_data(np.abs), False),
        calibrate=(lambda: ops.calibrate((0.5, 2.0), 0.25, unit="g"), False),
        select=(lambda: ops.select(0), False),
        scan_data=(
            lambda: ops.scan_data(total, lambda info: np.zeros((1, *info.shape))), False
        ),
        scan_data__keep=(lambda: ops.scan_data(total, np.zeros((1, 2)), on_gap="bridge"), False),
        gaps=(ops.gaps, True),
        fill_gaps__value=(lambda: ops.fill_gaps(np.nan), False),
        fill_gaps__hold=(lambda: ops.fill_gaps("previous"), False),
        fill_gaps__interpolate=(lambda: ops.fill_gaps("linear"), False),
        fill_gaps__limit=(lambda: ops.fill_gaps(0, limit=0.05), False),
        ignore_gaps=(ops.ignore_gaps, False),
        detect_gaps=(ops.detect_gaps, False),
        gate=(lambda: ops.gate(0.5, hold=0.005), False),
        gate__around=(lambda: ops.gate(0.5, 0.2, hold=0.01, before=0.02, after=0.03), False),
        sosfilt=(lambda: ops.sosfilt(SOS, initial="steady"), False),
        sosfilt__bridge=(lambda: ops.sosfilt(SOS, on_gap="bridge"), False),
        filter_band=(lambda: ops.filter_band(300, 1000), False),
        decimate=(lambda: ops.decimate(4), False),
        decimate__iir=(lambda: ops.decimate(4, kind="iir"), False),
        rms=(lambda: ops.rms(0.05, every=0.01), False),
        spectrogram=(lambda: ops.spectrogram(0.032), False),
        onset=(lambda: ops.onset(0.2, holdoff=0.02), False),
        onset__above=(lambda: ops.onset(above=20, background=0.2, on_gap="reset"), False),
        resample=(lambda: ops.resample(3000), False),
        resample__hold=(lambda: ops.resample(3000, method="previous", tolerance=0.01), False),
        resample__polyphase=(lambda: ops.resample(3000, method="polyphase"), False),
        map_parallel=(lambda: ops.map_parallel(negative), False),
        map_async=(lambda: ops.map_async(soon), False),
        replay_window=(lambda: ops.replay_window(60), False),
    ),
    **on(
        "events",
        rechunk=(lambda: ops.rechunk(5), True),
        window_by_time=(lambda: ops.window_by_time(0.25), True),
        window_by_time__sliding=(lambda: ops.window_by_time(0.25, every=0.1), True),
        samples=(ops.samples, True),
        sessions=(lambda: ops.sessions(0.03, before=0.01, after=0.01), True),
        sessions__longest=(lambda: ops.sessions(0.1, max_duration=0.2), True),
        gate=(lambda: ops.gate(lambda x: x % 7 == 0, before=0.1, after=0.05), False),
        onset=(lambda: ops.onset(20), False),
        detect_gaps=(ops.detect_gaps, False),
        resample=(lambda: ops.resample(100, tolerance=0.05), False),
        resample__hold=(lambda: ops.resample(100, method="previous"), False),
    ),
    **on("bus", decode_can=(lambda: ops.decode_can(CAR), False)),
    "detect_gaps-found": Case(
        lambda: rx.compose(ops.ignore_gaps(), ops.detect_gaps()), ("sound",), holes
    ),
    "timestamp_correct": Case(lambda: ops.timestamp_correct(), ("sound",), joined),
    "timestamp_correct-hold": Case(lambda: ops.timestamp_correct(hold=0.2), ("sound",), joined),
    # it reports on the chunks
    "meter": Case(lambda: ops.meter(0.5), ("sound",), None),
    # these need a window: where there is none, the same without them must come
    "rewind": Case(
        lambda: rx.compose(ops.rewind(60), ops.rechunk(100)), ("sound",),
        again=lambda: ops.rechunk(100), late=True,
    ),
    "on_lag": Case(
        lambda: rx.compose(ops.on_lag("block"), ops.rechunk(100)), ("sound",),
        again=lambda: ops.rechunk(100),
    ),
}  # fmt: skip


def align(*others: Observable[Chunk], **options: Any) -> Any:
    return ops.align(*others, lateness=PATIENT, **options)


def unmatched(*others: Observable[Chunk], **options: Any) -> Any:
    """Make align, which gives what it would report instead."""

    def operator(source: Observable[Chunk]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            aligned: Observable[Any] = source.pipe(
                align(*others, unmatched=observer.on_next, **options)
            )
            return aligned.subscribe(
                None, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator


def onto(other: Observable[Chunk], **options: Any) -> Any:
    return ops.resample(onto=other, lateness=PATIENT, **options)


def merge(*others: Observable[Chunk]) -> Any:
    return ops.merge_by_time(*others, lateness=PATIENT)


def windows(*others: Observable[Chunk], **options: Any) -> Any:
    return ops.join_windows(*others, lateness=PATIENT, **options)


def capture(*streams: Observable[Chunk], **options: Any) -> Any:
    return ops.capture(*streams, lateness=PATIENT, **options)


ALL = ("frames", "level", "sound", "events")
TWO, FOUR = ("level", "sound"), ("events", "level", "sound", "frames")
CLOSE = {"tolerance": 0.02}

JOINS: dict[str, Case] = {
    "align": Case(partial(align, **CLOSE), TWO, side_by_side),
    "align-offset": Case(
        partial(align, tolerance=0.004, offset=[0.1, -0.2]), ("sound", "level", "frames"),
        side_by_side,
    ),
    "align-events": Case(partial(align, tolerance=0.03), ("sound", "events"), side_by_side),
    "align-previous": Case(
        partial(align, method="previous", tolerance=0.05), ALL, side_by_side
    ),
    "align-linear": Case(
        partial(align, method="linear", **CLOSE), ("events", "level", "sound"), side_by_side
    ),
    "align-rate": Case(partial(align, rate=500.0, **CLOSE), TWO, side_by_side),
    "align-many": Case(partial(align, **CLOSE), ALL, side_by_side),
    "align-exact": Case(partial(align, tolerance=0), ("level", "level"), side_by_side),
    "align-processed": Case(
        lambda level: rx.compose(
            ops.rms(0.02, every=0.01), align(level.pipe(ops.rms(0.05, every=0.01)), **CLOSE)
        ),
        ("sound", "level"), side_by_side,
    ),
    "align-onsets": Case(
        lambda frames, events: rx.compose(
            ops.onset(0.2, holdoff=0.02), align(frames, events, tolerance=0.05)
        ),
        ("sound", "frames", "events"), side_by_side,
    ),
    **{
        f"align-{method}-unmatched": Case(
            partial(unmatched, method=method, tolerance=0.005), FOUR, reported
        )
        for method in ("nearest", "previous", "linear")
    },
    "resample-onto": Case(onto, TWO, joined),
    "resample-onto-events": Case(partial(onto, tolerance=0.01), ("level", "events"), joined),
    "resample-onto-hold": Case(
        partial(onto, method="previous", tolerance=0.05), ("frames", "sound"), joined
    ),
    "merge_by_time": Case(merge, FOUR, merged),
    "merge_by_time-threads": Case(
        lambda frames: rx.compose(
            ops.map_parallel(negative), merge(frames.pipe(ops.map_async(soon)))
        ),
        ("level", "frames"), merged,
    ),
    "join_windows": Case(partial(windows, duration=0.1), FOUR),
    "join_windows-sliding": Case(partial(windows, duration=0.25, every=0.1), FOUR),
    "join_windows-apart": Case(partial(windows, duration=0.05, every=0.2), FOUR),
    "join_windows-processed": Case(
        lambda level: rx.compose(
            ops.fill_gaps(np.nan), windows(level.pipe(ops.resample(100)), duration=0.2)
        ),
        ("sound", "level"),
    ),
}  # fmt: skip

CAPTURES: dict[str, Case] = {
    "capture": Case(
        partial(capture, before=0.01, after=0.01), ("events", "sound", "level"), windows=True
    ),
    "capture-each": Case(
        partial(capture, before=0.2, after=0.1, merge=False), ("events", "frames", "sound"),
        windows=True,
    ),
    "capture-pieces": Case(
        partial(capture, before=0.1, after=0.1, max_duration=0.3), ("events", "level"), windows=True
    ),
    "capture-onsets": Case(
        lambda *streams: rx.compose(
            ops.onset(0.2, holdoff=0.1), capture(*streams, before=0.03, after=0.03)
        ),
        ("sound", "sound", "level"), windows=True,
    ),
    "capture-sessions": Case(
        lambda *streams: rx.compose(
            ops.sessions(0.05), capture(*streams, before=0.05, after=0.05, events="chunks")
        ),
        ("events", "sound", "frames"), windows=True,
    ),
}  # fmt: skip
