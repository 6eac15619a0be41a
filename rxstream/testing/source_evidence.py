"""Rules of what a source gives: samples as described, and evidence that can be."""

from itertools import pairwise
from typing import Any

import numpy as np

from rxstream.data.stream_info import StreamInfo
from rxstream.printable import shown
from rxstream.testing.source_options import broken
from rxstream.testing.watch import Seen, Watch, granted
from rxstream.validation import is_whole

__all__ = ["check_evidence", "check_layout"]

# How far a stamp of the host clock may be from now [ns]: a block that was buffered, and no hour of
# a wrong time zone.
_FAR = 60_000_000_000

# Noise of a mapping between clocks [ns].
_NOISE = 1_000_000

# Readings from which on a counter that stays is a fault.
_FEW = 3

# Least time that shows the unit of stamps [ns], and by how much less they advance in another one.
_SEEN, _OTHER_UNIT = 300_000_000, 100


def check_layout(watch: Watch, info: StreamInfo) -> None:
    """Compare samples with their description; look at their threads."""
    for seen in watch.seen:
        if seen.dtype != info.dtype or seen.shape[1:] != info.shape or not seen.shape:
            wanted = f"(n{''.join(f', {size}' for size in info.shape)})"
            raise broken(
                "layout",
                f"samples are {seen.dtype} of shape {seen.shape}, and info says {info.dtype} of "
                f"shape {wanted}",
                "convert them, or describe them so",
            )
    if watch.threads > 1 or watch.overlapping:
        what = f"{watch.threads} threads call emit"
        if watch.threads == 1:
            what = "two threads call emit at the same time"
        raise broken(
            "one thread", what, "hand all readings to one thread, e.g. by queue.SimpleQueue"
        )


def check_evidence(
    watch: Watch, info: StreamInfo, *, live: bool, fed: bool, paced: bool
) -> None:  # fmt: skip
    """Look at the evidence of each reading.

    Parameters
    ----------
    watch
        What came.
    info
        Description of the stream.
    live
        Whether it comes as it happens.
    fed
        Whether somebody makes it say something.
    paced
        Whether the device itself decides when.
    """
    readings = [seen for seen in watch.seen if seen.count]
    _check_stamps(readings, info, live=live)
    if live and not fed and info.device_clock == "own":
        _check_unit(readings)
    for seen in readings:
        _check_bounds(seen)
        _check_arrival(seen)
    _check_counters(readings, info)
    if paced and info.rate is not None:
        _check_rate(readings, info.rate)


def _check_stamps(readings: list[Seen], info: StreamInfo, *, live: bool) -> None:
    before: int | None = None
    for seen in readings:
        stamps = seen.reading.device_time
        if stamps is None:
            continue
        array = np.atleast_1d(np.asarray(stamps))
        if array.dtype.kind not in "iu" or isinstance(stamps, bool):
            what = f"device_time is {shown(array[0].item())} ({array.dtype})"
            raise broken("evidence", what, "give int nanoseconds: round(seconds * 1e9)")
        if array.size not in (1, seen.count):
            what = f"{array.size} stamps came with {seen.count} samples"
            raise broken("evidence", what, "give one for each, or one for the first")
        first, last = int(array[0]), int(array[-1])
        if live and (np.any(np.diff(array) < 0) or (before is not None and first < before)):
            raise broken("evidence", f"device_time goes back to {first}", "give stamps in order")
        before = last
        away = abs(seen.arrival - last)
        if live and info.device_clock == "host" and away > _FAR:
            raise broken(
                "evidence", f"a stamp of the host clock lies {away / 1e9:.3g} s from its arrival",
                "map it by host_time(stamp, clock), or leave out device_clock='host'",
            )  # fmt: skip


def _check_unit(readings: list[Seen]) -> None:
    """Compare how far stamps of a clock of its own advance with the time that passes."""
    stamps = [
        (int(np.atleast_1d(seen.reading.device_time)[0]), seen.arrival)
        for seen in readings if seen.reading.device_time is not None
    ]  # fmt: skip
    # a coarse clock may stand still for a second
    if len({stamp for stamp, _ in stamps}) < _FEW:
        return
    advance, passed = stamps[-1][0] - stamps[0][0], stamps[-1][1] - stamps[0][1]
    if passed >= _SEEN and advance * _OTHER_UNIT < passed:
        what = f"device_time advances by {advance} ns in {passed / 1e9:.3g} s"
        raise broken("evidence", what, "give nanoseconds, e.g. round(milliseconds * 1e6)")


def _check_arrival(seen: Seen) -> None:
    arrival: Any = seen.reading.arrival
    if arrival is None:
        return
    if not is_whole(arrival) or not seen.arrival - _FAR <= arrival <= seen.arrival + _NOISE:
        what = f"arrival is {shown(arrival)}, at {seen.arrival}"
        raise broken("evidence", what, "give the host time at which it came: now_ns()")


def _check_bounds(seen: Seen) -> None:
    bounds: Any = seen.reading.bounds
    if bounds is None:
        return
    whole = isinstance(bounds, tuple) and len(bounds) == 2 and all(map(is_whole, bounds))
    if not whole or not bounds[0] <= bounds[1] <= seen.arrival + _NOISE:
        what = f"bounds are {shown(bounds)}, at {seen.arrival}"
        remedy = "give the host times before and after the question: now_ns()"
        raise broken("evidence", what, remedy)


def _check_counters(readings: list[Seen], info: StreamInfo) -> None:
    given = [seen.reading.counter for seen in readings]
    counters = [counter for counter in given if counter is not None]
    if not counters:
        return
    if info.counter is None:
        what = "readings carry a counter that info does not describe"
        raise broken("evidence", what, "say counter=DeviceCounter(bits)")
    limit = 1 << info.counter.bits
    for counter in counters:
        if not is_whole(counter, 0) or counter >= limit:
            what = f"counter {shown(counter)} does not fit {info.counter.bits} bits"
            raise broken("evidence", what, "give it raw, and its width: DeviceCounter(bits)")
    if len(counters) >= _FEW and len(set(counters)) == 1:
        what = f"the counter stays at {counters[0]} in {len(counters)} readings"
        raise broken("evidence", what, "give the counter at the last sample of each reading")
    if info.counter.kind == "samples" and len(given) == len(counters) >= _FEW:
        _check_steps(readings, limit)


def _check_steps(readings: list[Seen], limit: int) -> None:
    """See that a counter of samples grows by as many as come, or more where some are lost."""
    pairs = [
        (int(before.reading.counter or 0), int(seen.reading.counter or 0), seen.count)
        for before, seen in pairwise(readings) if seen.count < limit // 2
    ]  # fmt: skip
    if pairs and all((after - before) % limit > limit // 2 for before, after, _ in pairs):
        what = f"the counter goes back, from {pairs[0][0]} to {pairs[0][1]}"
        raise broken("evidence", what, "give one that grows with the samples")
    if pairs and all((after - before) % limit < count for before, after, count in pairs):
        before, after, count = pairs[0]
        what = f"the counter grows by {(after - before) % limit} while {count} samples come"
        remedy = "count samples: that of readings or packets times the samples in each"
        raise broken("evidence", what, remedy)


def _check_rate(readings: list[Seen], rate: float) -> None:
    span = (readings[-1].arrival - readings[0].arrival) / 1e9
    count = sum(seen.count for seen in readings[1:])
    # the last reading ends with its arrival, and so does the first
    if len(readings) <= _FEW or span <= 0:
        return
    found = count / span
    # a thread of Python that paces itself falls behind on a busy machine
    if found > rate * 2 or (found < rate / 2 and found < rate / 2 * granted()):
        what = f"{found:.4g} samples a second came, and info says {rate:g} Hz"
        raise broken("evidence", what, "say the true rate, or rate=None where none paces it")
