"""The simulation of a device by its options: values, arrivals, readings in virtual time."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import Reading
from rxstream.devices.simulated.delivery import Blocks, DeliveryModel, Timeline, Truth
from rxstream.devices.simulated.live import Arrival, Schedule
from rxstream.devices.simulated.options import block_of
from rxstream.devices.simulated.signals import make_values
from rxstream.errors import ParameterError

if TYPE_CHECKING:
    from rxstream.devices.simulated.source import Simulated

__all__ = ["Simulation"]

Ints: TypeAlias = NDArray[np.int64]

# interval of the heartbeats of an irregular device without events [ns], like those of a real one
_HEARTBEAT = 100_000_000
# values to compute at once: enough for speed, few enough not to be late
_BATCH = 1 << 16


class Simulation:
    """Values and arrivals of one simulated device.

    Parameters
    ----------
    sim
        The device, for its options.
    """

    def __init__(self, sim: "Simulated") -> None:
        self._sim = sim
        self._dtype = np.dtype(sim.dtype)
        self._end = None if sim.duration is None else round(sim.duration * 1e9)
        self._blocksize = block_of(sim.blocksize, sim.rate, irregular=sim.irregular)
        self._timeline = Timeline(sim.rate, sim.irregular, sim.seed, sim.ppm, sim.drift, sim.wander)
        self._model = DeliveryModel(
            self._timeline, sim.irregular, self._blocksize,
            sim.delay, sim.stalls, sim.drops, sim.seed,
        )  # fmt: skip

    def truth(self, start: int) -> Truth:
        """Return the truth of a run whose sample 0 is at host time ``start`` [ns]."""
        return Truth(start, self._timeline)

    def values(self, index: Ints) -> NDArray[Any]:
        """Return samples ``(n, *shape)`` by their numbers ``(n,)``."""
        sim = self._sim
        if not callable(sim.signal):
            seconds = self._timeline.device(index) / 1e9
            return make_values(
                sim.signal, index, seconds, sim.shape, self._dtype,
                seed=sim.seed, frequency=sim.frequency,
            )  # fmt: skip
        values = np.asarray(sim.signal(index))
        expected = (len(index), *sim.shape)
        if values.shape != expected or not np.can_cast(values.dtype, self._dtype, "same_kind"):
            msg = (
                f"{sim.name}: signal returned {values.shape} {values.dtype} for {len(index)} "
                f"samples; it must be {expected} {self._dtype}"
            )
            raise ParameterError(msg)
        return values.astype(self._dtype, copy=False)

    def schedule(self, *, stamped: bool) -> Schedule:
        """Return its schedule; readings get an arrival time if ``stamped``."""
        sim = self._sim
        unplugs = tuple((round(at * 1e9), round((at + lasts) * 1e9)) for at, lasts in sim.unplugs)
        return Schedule(sim.name, unplugs, self._end, partial(self._arrivals, stamped))

    def readings(self, truth: Truth, until: int | None) -> Iterator[Reading]:
        """Yield the readings up to an offset [ns], through all unplugs."""
        schedule = self.schedule(stamped=True)
        opened, first = 0, 0
        for back in (*(end for _, end in schedule.unplugs), None):
            unplug = schedule.next_unplug(opened)
            for at, k, reading in schedule.arrivals(first, opened, truth.start):
                if until is not None and at > until:
                    return
                if unplug is not None and at >= unplug:
                    break
                truth.note(k, len(reading.data))
                yield reading
            if unplug is None or back is None:
                return
            opened, first = back, self._timeline.find(back)

    def _arrivals(self, stamped: bool, first: int, opened: int, start: int) -> Iterator[Arrival]:
        size = self._blocksize * int(np.prod(self._sim.shape, dtype=np.int64))
        step = max(1, _BATCH // size)
        power, beat, end = first, opened, self._end
        stop = None if end is None else self._timeline.find(end)
        for page in self._model.blocks(first, stop):
            for low in range(0, len(page.first), step):
                blocks = Blocks(*(column[low : low + step] for column in page))
                for arrival in self._batch(blocks, power, start, stamped=stamped):
                    if self._sim.irregular:
                        yield from self._heartbeats(
                            beat, arrival.at, arrival.first, start, stamped=stamped
                        )
                        beat = arrival.at
                    yield arrival
        if self._sim.irregular and end is not None and stop is not None:
            yield from self._heartbeats(beat, end, stop, start, stamped=stamped)

    def _heartbeats(
        self, since: int, upto: int, first: int, start: int, *, stamped: bool
    ) -> Iterator[Arrival]:
        """Yield empty readings up to an offset [ns], before sample ``first``.

        Their bounds leave room for events that are on their way.
        """
        if upto - since <= _HEARTBEAT:
            return
        ready = int(self._timeline.host(np.array([first]))[0])
        empty = np.empty((0, *self._sim.shape), self._dtype)
        for at in range(since + _HEARTBEAT, upto, _HEARTBEAT):
            bounds = (start + min(at, ready), start + at)
            arrival = start + at if stamped else None
            yield Arrival(at, first, Reading(empty, bounds=bounds, arrival=arrival))

    def _batch(self, blocks: Blocks, power: int, start: int, *, stamped: bool) -> Iterator[Arrival]:
        ends = np.cumsum(blocks.size)
        begins = ends - blocks.size
        index = np.arange(ends[-1]) + np.repeat(blocks.first - begins, blocks.size)
        data = self.values(index)
        counters = self._counters(blocks.first + blocks.size - 1, power)
        stamps = self._stamps(index, power, start)
        each = self._sim.irregular or self._sim.stamps == "host"
        reported = self._sim.drops is not None and self._sim.drops.reported
        rows = zip(
            begins.tolist(), ends.tolist(), blocks.first.tolist(), blocks.lost.tolist(),
            blocks.arrival.tolist(), counters, strict=True,
        )  # fmt: skip
        for i, j, first, lost, at, counter in rows:
            stamp: int | Ints | None = None
            if stamps is not None:
                stamp = stamps[i:j] if each else int(stamps[i])
            yield Arrival(
                at,
                first,
                Reading(
                    data[i:j],
                    counter,
                    stamp,
                    None,
                    lost if reported and lost else None,
                    "dropped",
                    start + at if stamped else None,
                ),
            )

    def _counters(self, last: Ints, power: int) -> list[int] | list[None]:
        counter = self._sim.counter
        if counter is None:
            return [None] * len(last)
        if counter.kind == "samples":
            counts = last - power
        else:
            ticks = (counter.rate or 0.0) / 1e9
            counts = np.floor(self._since_power(last, power) * ticks).astype(np.int64)
        mask = (1 << counter.bits) - 1
        return [count & mask for count in counts.tolist()]

    def _stamps(self, index: Ints, power: int, start: int) -> Ints | None:
        kind, step = self._sim.stamps, self._sim.resolution * 1e9
        if kind is None:
            return None
        if kind == "host":
            stamps, whole = self._timeline.host(index) + start, max(1, round(step))
            return stamps // whole * whole
        return np.rint(np.floor(self._since_power(index, power) / step) * step).astype(np.int64)

    def _since_power(self, index: Ints, power: int) -> NDArray[np.float64]:
        zero = self._timeline.device(np.array([power]))[0]
        since: NDArray[np.float64] = self._timeline.device(index) - zero
        return since
