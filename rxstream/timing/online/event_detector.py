"""Losses, overlaps, changes of latency and restarts, found by chunks that do not fit the line.

States, as in `Stamp.state`; `ClockModel` derives them from the floor and the loss test::

    first chunk
         |
         v
      warming ---- 64 chunks and 2 s ----> locked <---- 8 fresh chunks and 2 s* ---- reacquiring
                                             |                                            ^
                                             +---- latency, restart, gap of any size -----+

      each of these <---- a run of late chunks: begins, or ends or is decided ----> suspect

    * 0.2 s after a gap of any size: its new line keeps the slope

A gap of whole quanta and an overlap move device time and keep line and state. A slope whose prior
proves wrong in the first seconds starts the 64 chunks again.

Events, and the evidence for each::

    gap      reported by the device, or skipped by its counter; the others only where `Pace.losses`
             a lower bound above the line
             a run of late chunks, improbable as lateness: by whole quanta, or of any size
             found once, when warming ends: late chunks since a step of the line, if those on
             both sides of it keep to a line
    overlap  a counter that goes back
             a chunk too early by most of a quantum, or soon after a gap, which was smaller or none
    latency  a run of late chunks that is no loss, by less than a quantum or with all numbers there
             a chunk too early: the floor is lower, or a rise shortly before was none
    restart  a run of late chunks, or a lower bound, beyond `ClockSettings.restart_gap`; without a
             line a chunk that is later than the one before by as much, and so is the next
             a counter that claims more time than has passed; `ClockModel.restart`
"""

from collections import deque
from math import ceil, inf

from rxstream.data.gap import GapReason
from rxstream.timing.online.counters import DeviceTime
from rxstream.timing.online.early_losses import (
    EarlyLoss,
    Point,
    after_loss,
    first_loss,
    whole_losses,
)  # fmt: skip
from rxstream.timing.online.floor import DelayFloor
from rxstream.timing.online.loss_size import LEAST_BLUR, LossSize, loss_size
from rxstream.timing.online.losses import MAX_RUN, LateRun
from rxstream.timing.online.pace import Pace
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, EventKind
from rxstream.timing.tangent import lower_hull, tangent

__all__ = ["EventDetector"]

# Time for which a change of latency is measured: as long as the step keeps time continuous, it
# follows the new line [s]. (study)
_MEASURE_LATENCY = 20.0
# A loss or rise found less long ago than this [s], or than so many chunks, may prove to have been
# lateness. (trial)
_REVOCABLE_SECONDS, _REVOCABLE_CHUNKS = 1.0, 20
# Chunks of the first seconds that show how late they are wont to be, once losses are known.
_FIRST = 256
# Samples below which a loss is none. Less than 1, as the line is not exact. (trial)
_MIN_LOST = 0.7
# A chunk this part of a quantum too early shows that the loss before it was smaller. (trial)
_SMALLER_LOSS = 0.2
# A chunk this part of a quantum too early came twice. (study)
_OVERLAP = 0.6
# Device time before which no chunk is too early: the line still falls [s]. As `_WARM_SECONDS`.
_SETTLING = 2.0
# Before chunks can be judged, one that is late by this many of their usual distances follows an
# outage. (trial)
_OUTAGE_STEPS = 5
# A jump of this many quanta at least is a restart; see `ClockSettings.restart_gap`.
_RESTART_QUANTA = 3
# A lower bound must lie above the line by this [s], or this many scales of the delay, to show a
# loss. (study)
_BOUND_ABOVE, _BOUND_SCALES = 1e-3, 2
# A run that is late by less than this part of the scale is no loss of any size: arrivals that
# wander a little are late by half of it. (trial)
_LEAST_SCALES = 0.9
# Chunks that get later and later follow no loss: their line is this much likelier, as a logarithm,
# than one that keeps its slope; on so many chunks at least. (trial)
_RAMP_ODDS, _RAMP_CHUNKS = 6.0, 6
# They get later by this part of their lateness at least: else they were late at once. (trial)
_RAMP_PART = 0.25
# Time after which a loss of any size is believed where arrivals do not keep close to the line, if
# they do so at all [s]. (trial)
_DISBELIEF = 10.0
# Fresh chunks of a run after which it is none of whole periods.
_SIZED = 32


class EventDetector:
    """Decides between lateness, loss, overlap, a change of latency and a restart; acts on it.

    Attributes
    ----------
    lost, reason, events
        To be reported with the present chunk; see `Stamp`.
    """

    __slots__ = (
        "_chunk", "_device", "_first", "_floor", "_lost_at", "_misnumbered", "_outage", "_pace",
        "_quantum", "_revocable", "_rose_at", "_settings", "_settled", "events", "lost", "reason",
    )  # fmt: skip

    def __init__(
        self, settings: ClockSettings, device: DeviceTime, floor: DelayFloor, pace: Pace
    ) -> None:
        rate, quantum = settings.rate, settings.quantum
        self._settings, self._device, self._floor, self._pace = settings, device, floor, pace
        self._quantum = quantum / rate if quantum and rate else None  # [s]
        self._lost_at = self._rose_at = -inf  # device time of the last loss or rise found [s]
        self._revocable = 0  # quanta of that loss; 0 if it has no quantum
        self._chunk = -1
        # First of two chunks far too late, and by how much [s].
        self._outage: tuple[int, float] | None = None
        self._misnumbered = -inf  # newest chunk whose number was not believed
        self._settled = False  # whether the first seconds have been searched for a loss
        self._first: deque[Point] = deque(maxlen=_FIRST)  # newest chunks of these
        self.lost: int | None = 0
        self.reason: GapReason | None = None
        self.events: tuple[ClockEvent, ...] = ()

    def next_chunk(self) -> None:
        """Begin with the next chunk."""
        self._chunk += 1
        self.lost, self.reason, self.events = 0, None, ()

    def restart(self, since: int | None = None, shift: float = 0.0) -> None:
        """Report a restart before chunk ``since``, found now, of an outage ``shift`` [s]."""
        self.lost, self.reason, self._lost_at, self._settled = None, "restart", -inf, False
        self._first.clear()
        self._outage = None
        if not self.events or self.events[-1].kind != "restart":
            self._note("restart", self._chunk if since is None else since, None, shift)

    def successor(
        self, settings: ClockSettings, device: DeviceTime, floor: DelayFloor
    ) -> "EventDetector":
        """Return a detector for another rate, which goes on with the present chunk."""
        new = EventDetector(settings, device, floor, self._pace)
        new._chunk = self._chunk
        new.lost, new.reason, new.events = self.lost, self.reason, self.events
        return new

    def note_pace(self, kind: EventKind, rate: float, stated: float) -> None:
        """Report what was found of the rate [Hz]."""
        at = self._chunk
        self.events += (ClockEvent(kind, at, at, None, 0, rate=rate, stated=stated),)

    def report(self, missing: int) -> None:
        """Report a loss of samples that is certain; negative: samples that came twice."""
        self.reason = "dropped" if missing > 0 else "overlap"
        self.lost = max(missing, 0)
        self._note("gap" if missing > 0 else "overlap", self._chunk, missing, 0.0)

    def infer(self, above: float) -> bool:
        """Infer a loss or restart from a lower bound ``above`` the fitted line [s].

        Of quanta it is the next whole number, as the loss may be larger than ``above``. Where any
        number may be lost, only whole periods are certain: part of one is a sample that was taken
        late, as by a program that asks on a schedule. Upper bounds are not judged by their
        lateness: those of coarse stamps beat with the chunks.

        Returns
        -------
        bool
            Whether the device has restarted.
        """
        device, quantum, rate = self._device, self._quantum, self._settings.rate
        if device.numbered or rate is None:
            return False
        if above <= max(_BOUND_ABOVE, _BOUND_SCALES * self._floor.line.scale):
            return False
        if above >= self._least_outage():
            self.restart()
            return True
        if quantum is not None:
            lost = max(ceil(above / quantum - self._floor.loss_test.slack), 1) * quantum
        else:
            lost = int(above * rate + LEAST_BLUR) / rate
        if lost > 0:
            self.report(round(device.shift(lost) * rate))
        return False

    def judge(self, excess: float, later: float, fresh: bool) -> bool:
        """Decide what happened from the excess of a chunk over the line [s].

        Parameters
        ----------
        excess
            At the device's present time.
        later
            By how much it is later than the chunk before it [s].
        fresh
            Whether the chunk did not wait behind the one before it.

        Returns
        -------
        bool
            Whether the device has restarted.
        """
        floor, x = self._floor, self._device.seconds
        # Chunks of a higher rate than stated come too early one after the other.
        judged = x > _SETTLING and floor.known and not self._pace.by_arrival
        if excess < 0 and judged and self._is_too_early(excess, x):
            return False
        rule = self._settings.on_step
        warm = floor.warm(x)
        run = floor.loss_test.observe(self._chunk, x, excess, fresh, warm)
        # As long as there may be no clock, the line does not show what an outage is.
        if (not warm or not self._pace.losses) and self.is_outage(later, fresh):
            return True
        if not self._settled and not self._settle(x, excess, warm):
            return False
        if not warm or run is None:
            return False
        # The order matters: numbers exclude a loss, an outage exceeds any loss, and whole quanta
        # are surer than a loss of any size. What is left is a longer delay.
        if self._device.numbered:
            if run.lasting and not self._device.catches_up:
                self._rise(run, x)
        elif not self._pace.losses and not self._is_step(run):
            # Unless something is known of the pace, the run may be a loss yet.
            if self._pace.test.verdict != "unknown":
                floor.loss_test.forget()
                if run.lowest > floor.line.scale:
                    self._pace.contradict()
        elif run.lowest >= self._least_outage():
            self._pace.outage()
            self.restart(run.chunk, run.lowest)
            return True
        elif self._pace.leaves_line(run.points[0][0], run.lowest):
            floor.loss_test.forget()
            self._pace.contradict()
        elif self._is_drift(run):
            self._drift(run, x)
        elif not run.lasting:
            return False
        elif (quantum := floor.loss_test.quantum) and run.quanta and rule != "latency":
            self._lose(run, run.quanta * quantum)
        elif rule == "gap" or (rule == "auto" and quantum is None):
            self._lose_or_rise(run, x)
        else:
            self._rise(run, x)
        return False

    def _settle(self, x: float, excess: float, warm: bool) -> bool:
        """Whether the first seconds end with this chunk, and nothing has been lost in them."""
        line = self._floor.line
        self._first.append((x, excess + line.at(x)))
        losses = self._early_losses(*line.offsets()) if warm else None
        if losses is None:
            return False
        self._settled = True
        return not self._lose_early(losses)

    def _is_step(self, run: LateRun) -> bool:
        """Whether chunks keep to a likely line, but for one step where the late ones begin."""
        test, since = self._pace.test, run.points[0][0]
        # What spoke against the stated rate once may do so again.
        if (
            test.verdict == "unknown"
            or not self._pace.trusted
            or run.lowest <= self._floor.line.scale
        ):
            return False
        return len(run.points) < MAX_RUN and test.steady_but_for(since, run.lowest)

    def _lose_or_rise(self, run: LateRun, x: float) -> None:
        """Act on a run that may be a loss of any size, once its size is known."""
        samples, whole, in_chunks, exact = self._size(run.lowest, run.fresh)
        # A loop that is held up wanders on meanwhile.
        believed = in_chunks or self._pace.firm or run.lasted > _DISBELIEF
        if samples >= _MIN_LOST and whole and believed:
            self._lose_some(run, exact)
        elif samples < _MIN_LOST or (not whole and run.fresh >= _SIZED):
            self._rise(run, x)

    def _least_outage(self) -> float:
        return max(self._settings.restart_gap, _RESTART_QUANTA * (self._quantum or 0.0))

    def is_outage(self, later: float, fresh: bool) -> bool:
        """Whether the device has restarted, where no line shows by how much a chunk is late.

        It is known only by how much it is ``later`` than the one before it [s]. After a stall all
        chunks that waited come at once. After an outage the next one is as late, and did not wait.
        """
        least = max(self._least_outage(), _OUTAGE_STEPS * self._device.step)
        if self._device.numbered or not fresh:
            self._outage = None
        elif self._outage is None:
            # Chunks of a lower rate than stated get late as well, but one by one.
            self._outage = (self._chunk, later) if later >= least else None
        else:
            (since, shift), self._outage = self._outage, None
            if shift + later >= least:
                self.restart(since, min(shift, shift + later))
                return True
        return False

    def _size(self, lowest: float, fresh: int) -> LossSize:
        """Return by how much chunks are late whose least excess is ``lowest`` [s]."""
        floor, rate = self._floor, self._settings.rate or 1.0
        late, width = lowest / (1 + floor.line.slope), floor.uncertainty(self._device.seconds)
        return loss_size(late, fresh, rate, self._device.step, floor.line.scale, width)

    def _is_drift(self, run: LateRun) -> bool:
        """Whether the arrivals have left the line little by little, not at once."""
        scale = self._floor.line.scale
        if not run.quanta and run.lowest < _LEAST_SCALES * scale:
            return True
        xs = [x for x, _, fresh in run.points if fresh]
        excesses = [excess for _, excess, fresh in run.points if fresh]
        if (size := len(xs)) < _RAMP_CHUNKS:
            return False
        # with a prior and a limit so wide that the slope is free
        hull = lower_hull(xs, excesses)
        value, slope = tangent(hull, sum(xs) / size, size / scale, 0.0, 1e6, 1e6)
        gradual = slope * (xs[-1] - xs[0]) > _RAMP_PART * run.lowest
        return gradual and size * (value - min(excesses)) > _RAMP_ODDS * scale

    def _lose_early(self, losses: list[EarlyLoss]) -> bool:
        """Act on losses in the first seconds, before lateness could be judged, if there are any."""
        device, floor = self._device, self._floor
        points, _ = floor.line.offsets()
        # The test of the rate has no verdict yet, or one that the steps of the line have bent.
        if not losses or not self._pace.test.steady_but_for(
            points[losses[-1].first][0], losses[-1].size
        ):
            return False
        now, chunk, total = device.seconds, self._chunk, 0.0
        moved, newest = points[: losses[0].first], list(self._first)
        ends = [loss.first for loss in losses[1:]] + [len(points)]
        for loss, end in zip(losses, ends, strict=True):
            since = points[loss.first][0] - device.step / 2
            lost = device.shift(loss.size)
            # Half a chunk earlier, as sums of losses are rounded.
            self._note_gap(since + total, chunk - round((now - since) / device.step - 0.5), lost)
            newest = list(map(after_loss(since + total, lost), newest))
            total += lost
            moved += [(x + total, offset - total) for x, offset in points[loss.first : end]]
        floor.relearn(moved, newest, device.step)
        return True

    def _early_losses(self, points: list[Point], counts: list[int]) -> list[EarlyLoss] | None:
        """Return the losses since the stream began; None while the newest show too little."""
        rate, quantum, rule = self._settings.rate, self._quantum, self._settings.on_step
        if self._device.numbered or rate is None or rule == "latency":
            return []
        skew = self._settings.skew
        offsets = [offset - skew * x for x, offset in points]
        # Where delays hide a single period, whole chunks are what gets lost most likely.
        for unit in (quantum,) if quantum else (1 / rate, self._device.step):
            whole = whole_losses(offsets, counts, unit)
            if whole is None or whole:
                return whole
        line = self._floor.line
        one = first_loss([offset - line.at(x) for x, offset in points], counts)
        if one is None or (quantum and round(one.size / quantum) < 1):
            return []
        if quantum:
            # Rounded, as the line is not exact yet.
            return [EarlyLoss(one.first, round(one.size / quantum) * quantum)]
        fresh = sum(counts[one.first :])
        size = self._size(one.size, fresh)
        return [one] if size.samples >= _MIN_LOST and size.whole else []

    def _is_too_early(self, excess: float, x: float) -> bool:
        """Whether a chunk is earlier than possible; if so, act on it."""
        floor = self._floor
        limit = floor.loss_test.median
        recent = max(_REVOCABLE_SECONDS, _REVOCABLE_CHUNKS * self._device.step)
        revocable = x - self._lost_at < recent
        if revocable:
            least = _SMALLER_LOSS * (floor.loss_test.quantum or 0.0)
            limit = min(limit, max(2 * floor.uncertainty(x), least))
        risen = x - self._rose_at < recent
        # A line that is being reacquired falls by itself, unless there is something to take back.
        if excess >= -limit or not (revocable or risen or not floor.reacquiring):
            return False
        if not self._is_misnumbered(excess + limit):
            self._early(excess, x, revocable, risen)
        return True

    def _is_misnumbered(self, excess: float) -> bool:
        """Whether a chunk is early only by its number; if so, do without that.

        If it was right after all the next one is early as well, and is believed. Where a pause was
        taken for turns of a counter, chunks that waited in it come next.
        """
        since, self._misnumbered = self._misnumbered, -inf
        ahead = self._device.ahead
        if ahead <= 0:
            if turn := self._device.take_back_turn(-excess):
                self.report(-turn)
            return turn > 0 or self._device.catches_up
        if excess + ahead < 0 or since == self._chunk - 1:
            return False
        self._misnumbered = self._chunk
        self._device.distrust()
        self.lost, self.reason, self.events = 0, None, ()
        return True

    def _early(self, excess: float, x: float, revocable: bool, risen: bool) -> None:
        """Act on a chunk too early: an overlap, a loss or rise that was none, or a lower floor."""
        device, floor, quantum = self._device, self._floor, self._floor.loss_test.quantum
        if risen and floor.go_back(x, excess):
            self._rose_at = -inf
            self._pace.take_back()
            self._note("latency", self._chunk, None, excess)
        elif quantum and not device.numbered and (-excess >= _OVERLAP * quantum or revocable):
            quanta = max(int(-excess / quantum + 1 - floor.loss_test.slack), 1)
            shift = device.shift(-quanta * quantum)
            self.lost, self.reason = 0, "overlap"
            self._revocable -= quanta
            if self._revocable <= 0:
                self._lost_at = -inf
            self._note("overlap", self._chunk, round(shift * (device.rate or 1.0)), shift)
            floor.loss_test.forget()
        elif floor.warm(x):
            old, latency_step = floor.line, floor.latency_step
            value, step, half_width = old.at(x), latency_step.step, old.uncertainty(x)
            floor.renew(x)
            # A floor below all before shows that the least delay was not known: no step is left.
            if step > 0:
                until = x + max(20 * device.step, _MEASURE_LATENCY)
                latency_step.begin(x, value - step, until, half_width)
            else:
                latency_step.end()
            self._pace.take_back()
            self._pace.fall()
            self._note("latency", self._chunk, None, excess)

    def _lose(self, run: LateRun, lost: float) -> None:
        """Act on a loss of known size [s]."""
        self._device.shift(lost)
        self._floor.forgive(run.points, lost)
        self._revocable = run.quanta
        self._gap(run, lost)

    def _lose_some(self, run: LateRun, lost: float = 0.0) -> None:
        """Act on a loss of any size: the least excess of the run, less its usual value."""
        floor, old = self._floor, self._floor.line
        self._revocable, exact = 0, lost > 0
        lost = lost or run.lowest - min(old.scale / max(run.fresh, 1), run.lowest / 2)
        if self._quantum:
            lost = max(round(lost / self._quantum), 1) * self._quantum
        floor.forgive(run.points, lost)
        lost = self._device.shift(lost)
        floor.shift(self._device.seconds)
        floor.fill(run.points[:-1], old, lost)
        self._gap(run, lost, exact)

    def _gap(self, run: LateRun, lost: float, exact: bool = True) -> None:
        # Of a run longer than what is kept the beginning is not known.
        whole = len(run.points) < MAX_RUN
        self._note_gap(run.points[0][0] if whole else None, run.chunk, lost, exact)

    def _note_gap(self, since: float | None, chunk: int, lost: float, exact: bool = True) -> None:
        """Report a loss [s] before a chunk, at a device time [s] if that is known."""
        self._pace.explain(since, lost, exact)
        self._floor.loss_test.confirm()
        self._lost_at = self._device.seconds
        samples = round(lost * (self._settings.rate or 1.0))
        self.lost, self.reason = (self.lost or 0) + samples, "dropped"
        self._note("gap", chunk, samples, lost)

    def _rise(self, run: LateRun, x: float) -> None:
        """Act on a delay that is longer for good, unless ticks show that the clock has jumped."""
        if self._device.hides(run.lowest, self._chunk - run.chunk + 1):
            self._lose_some(run)
            return
        floor, old, since = self._floor, self._floor.line, run.points[0][0]
        value = old.at(since) - floor.latency_step.step
        floor.renew(since)
        floor.fill(run.points[:-1], old)
        floor.latency_step.begin(since, value, x + _MEASURE_LATENCY, old.uncertainty(since))
        self._rose_at = x
        self._pace.move()
        self._note("latency", run.chunk, None, run.lowest)

    def _drift(self, run: LateRun, x: float) -> None:
        """Act on arrivals that have left the line: follow them if they do not keep to lines."""
        floor, old = self._floor, self._floor.line
        if not self._pace.test.surely_bent:
            floor.loss_test.forget()
            return
        floor.shift(x)
        floor.fill(run.points[:-1], old)
        self._pace.move()

    def _note(self, kind: EventKind, chunk: int, samples: int | None, shift: float) -> None:
        late = round(shift * 1e9)
        correction, delay = (0, late) if kind == "latency" else (late, 0)
        self.events += (ClockEvent(kind, chunk, self._chunk, samples, correction, delay),)
