"""What happened, when a chunk comes too late or too early for the line."""

from math import ceil, inf

from rxstream.data.gap import GapReason
from rxstream.timing.online.counters import DeviceTime
from rxstream.timing.online.floor import DelayFloor
from rxstream.timing.online.gaptest import Run
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, EventKind
from rxstream.timing.tangent import likeliest_step

__all__ = ["EventDetector"]

_HOLD_LATENCY = 20.0  # how long a change of latency is measured [s]
_REGRET = 1.0  # a loss or rise found less long ago may prove to have been lateness [s]
_REGRET_CHUNKS = 20  # or of so many chunks
_LEAST = 0.7  # less than one sample is no loss; but the line is not exact
_SPEAKS = 0.2  # of a quantum too early, and a loss was smaller; less may be the line's error
_FAR_STEPS = 5  # usual distances of chunks, by which one is far too late


class EventDetector:
    """Decides between lateness, loss, overlap, a change of latency and a restart; acts on it.

    Attributes
    ----------
    lost, reason, events
        What is to be told with the present chunk; see `Stamp`.
    """

    __slots__ = (
        "_chunk", "_device", "_doubtful", "_far", "_floor", "_lost_at", "_quantum", "_rose_at",
        "_settings", "_settled", "events", "lost", "reason",
    )  # fmt: skip

    def __init__(self, settings: ClockSettings, device: DeviceTime, floor: DelayFloor) -> None:
        rate, quantum = settings.rate, settings.quantum
        self._settings, self._device, self._floor = settings, device, floor
        self._quantum = quantum / rate if quantum and rate else None  # [s]
        self._lost_at = self._rose_at = -inf  # device time of the last loss or rise found [s]
        self._doubtful = 0  # quanta of that loss; 0 if it has no quantum
        self._chunk = -1
        self._far: tuple[int, float] | None = None  # the first of chunks far too late, and how far
        self._settled = False  # whether the first seconds have been looked at for a loss
        self.lost: int | None = 0
        self.reason: GapReason | None = None
        self.events: tuple[ClockEvent, ...] = ()

    def next_chunk(self) -> None:
        """Begin with the next chunk: nothing is known against it."""
        self._chunk += 1
        self.lost, self.reason, self.events = 0, None, ()

    def restart(self, since: int | None = None, shift: float = 0.0) -> None:
        """Tell a restart, seen by now, that was before chunk ``since`` and ``shift`` long [s]."""
        self.lost, self.reason, self._lost_at, self._settled = None, "restart", -inf, False
        self._far = None
        if not self.events or self.events[-1].kind != "restart":
            self._note("restart", self._chunk if since is None else since, None, shift)

    def tell(self, missing: int) -> None:
        """Pass on a loss that the device tells or its counter shows."""
        self.reason = "dropped" if missing > 0 else "overlap"
        self.lost = max(missing, 0)
        self._note("gap" if missing > 0 else "overlap", self._chunk, missing, 0.0)

    def prove(self, above: float) -> bool:
        """See a loss, or a restart, in a lower bound that lies ``above`` the line [s].

        The loss may be larger than ``above``: of quanta, the next whole number. Upper bounds are
        not judged by how late they are: those of coarse stamps beat with the chunks.
        """
        device, quantum, rate = self._device, self._quantum, self._settings.rate
        if device.numbered or rate is None:
            return False
        if above <= max(1e-3, 2 * self._floor.line.scale):
            return False
        if above >= max(self._settings.restart_gap, 3 * (quantum or 0.0)):
            self.restart()
            return True
        if quantum is not None:
            above = max(ceil(above / quantum - self._floor.gaps.slack), 1) * quantum
        self.tell(round(device.shift(above) * rate))
        return False

    def judge(self, excess: float, fresh: bool) -> bool:
        """See what happened from the excess of a chunk over the line [s].

        Parameters
        ----------
        excess
            At the device's present time.
        fresh
            Whether the chunk could have come in time: it did not wait behind the one before it.

        Returns
        -------
        bool
            Whether the device has begun anew.
        """
        floor, x = self._floor, self._device.seconds
        if excess < 0 and x > 2.0 and floor.known and self._is_too_early(excess, x):
            return False
        quantum, rule = self._quantum, self._settings.on_step
        warm = floor.warm(x)
        run = floor.gaps.observe(self._chunk, x, excess, fresh, warm)
        if not warm:
            return self._far_away(excess, fresh)
        if not self._settled:
            self._settled = True
            early = self._early_loss()
            if early is not None:
                self._lose_some(early, early.quanta * (quantum or 0.0))
                return False
        if run is None:
            return False
        if self._device.numbered:
            self._rise(run, x)
        elif run.lowest >= max(self._settings.restart_gap, 3 * (quantum or 0.0)):
            self.restart(run.chunk, run.lowest)
            return True
        elif quantum is not None and run.quanta and rule != "latency":
            self._lose(run, run.quanta * quantum)
        elif (rule == "gap" or (rule == "auto" and quantum is None)) and self._is_some(run.lowest):
            self._lose_some(run)
        else:
            self._rise(run, x)
        return False

    def _far_away(self, excess: float, fresh: bool) -> bool:
        """Whether the device has begun anew before single chunks can be judged.

        After a stall what waited comes all at once; here the next one is as late, and did not wait.
        """
        step, quantum = self._device.step, self._quantum or 0.0
        least = max(self._settings.restart_gap, 3 * quantum, _FAR_STEPS * step)
        if excess < least or self._device.numbered or not fresh:
            self._far = None
            return False
        if self._far is None:
            self._far = self._chunk, excess
            return False
        (since, shift), self._far = self._far, None
        self.restart(since, min(shift, excess))
        return True

    def _is_some(self, lost: float) -> bool:
        """Whether a loss [s] is one of a sample at least."""
        rate = self._settings.rate
        return rate is None or lost * rate >= _LEAST

    def _early_loss(self) -> Run | None:
        """Return the chunks since a loss in the first seconds, before lateness could be judged.

        The line lies under those before it: all others are late by about the same.
        """
        points, counts = self._floor.line.minima()
        first = likeliest_step([excess for _, excess in points])
        late = [(x, excess, True) for x, excess in points[first:]]
        lowest = min(excess for _, excess, _ in late)
        spread = sorted(excess for _, excess, _ in late)[len(late) // 2] - lowest
        fresh = sum(counts[first:])
        since = round((self._device.seconds - late[0][0]) / self._device.step) + 1
        quantum, rule = self._quantum, self._settings.on_step
        quanta = 0 if quantum is None else round(lowest / quantum)  # the line is not exact yet
        if not first or 2 * fresh < sum(counts) or lowest < 6 * spread:
            return None
        if self._device.numbered or rule == "latency" or (quantum and not quanta):
            return None
        if not self._is_some(lowest):
            return None
        self._floor.relearn(late, lowest)
        return Run(self._chunk - since + 1, lowest, quanta, fresh, late)

    def _is_too_early(self, excess: float, x: float) -> bool:
        """Whether a chunk is earlier than possible; if so, what that means is taken in."""
        floor = self._floor
        limit = floor.gaps.median
        regret = max(_REGRET, _REGRET_CHUNKS * self._device.step)
        doubtful = x - self._lost_at < regret  # it is yet to be seen whether that was a loss
        if doubtful:
            least = _SPEAKS * (self._quantum or 0.0)
            limit = min(limit, max(2 * floor.uncertainty(x), least))
        risen = x - self._rose_at < regret
        if excess >= -limit or not (doubtful or risen or not floor.soft):
            return False
        self._early(excess, x, doubtful, risen)
        return True

    def _early(self, excess: float, x: float, doubtful: bool, risen: bool) -> None:
        """Earlier than possible: samples came twice, a loss or rise was none, or a lower floor."""
        device, floor, quantum = self._device, self._floor, self._quantum
        if risen and floor.go_back(x, excess):
            self._rose_at = -inf
            self._note("latency", self._chunk, None, excess)
        elif quantum and not device.numbered and (-excess >= 0.6 * quantum or doubtful):
            quanta = max(int(-excess / quantum + 1 - floor.gaps.slack), 1)
            shift = device.shift(-quanta * quantum)
            self.lost, self.reason = 0, "overlap"
            self._doubtful -= quanta
            if self._doubtful <= 0:
                self._lost_at = -inf
            self._note("overlap", self._chunk, round(shift * (device.rate or 1.0)), shift)
            floor.gaps.forget()
        elif floor.warm(x):
            old, joint = floor.line, floor.joint
            value, step, doubt = old.at(x), joint.step, old.uncertainty(x)
            floor.renew(x)
            if step > 0:
                until = x + max(20 * device.step, _HOLD_LATENCY)
                joint.begin(x, value - step, until, doubt)
            else:
                joint.end()
            self._note("latency", self._chunk, None, excess)

    def _lose(self, run: Run, lost: float) -> None:
        """Take in a loss of known size [s]."""
        self._device.shift(lost)
        self._floor.forgive(run.points, lost)
        self._doubtful = run.quanta
        self._gap(run, lost)

    def _lose_some(self, run: Run, lost: float = 0.0) -> None:
        """Take in a loss of any size: the least excess of the run, less what that usually is."""
        floor, old = self._floor, self._floor.line
        self._doubtful = 0
        lost = lost or run.lowest - min(old.scale / max(run.fresh, 1), run.lowest / 2)
        floor.forgive(run.points, lost)
        lost = self._device.shift(lost)
        floor.shift(self._device.seconds)
        floor.fill(run.points[:-1], old, lost)
        self._gap(run, lost)

    def _gap(self, run: Run, lost: float) -> None:
        self._floor.gaps.confirm()
        self._lost_at = self._device.seconds
        samples = round(lost * (self._settings.rate or 1.0))
        self.lost, self.reason = (self.lost or 0) + samples, "dropped"
        self._note("gap", run.chunk, samples, lost)

    def _rise(self, run: Run, x: float) -> None:
        """Take in a delay that has become longer for good; the clock has not jumped."""
        floor, old, since = self._floor, self._floor.line, run.points[0][0]
        value = old.at(since) - floor.joint.step
        floor.renew(since)
        floor.fill(run.points[:-1], old)
        floor.joint.begin(since, value, x + _HOLD_LATENCY, old.uncertainty(since))
        self._rose_at = x
        self._note("latency", run.chunk, None, run.lowest)

    def _note(self, kind: EventKind, chunk: int, samples: int | None, shift: float) -> None:
        late = round(shift * 1e9)
        correction, delay = (0, late) if kind == "latency" else (late, 0)
        self.events += (ClockEvent(kind, chunk, self._chunk, samples, correction, delay),)
