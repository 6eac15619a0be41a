"""The stated rate as a hypothesis: whether the line under the arrivals may give the times.

::

                     few chunks look like noise            64 chunks and 2 s: they keep to a line
    first chunk ---> line ---------------------------------> line, and late chunks may be losses
                      |  ^                                      |    |  ^
           a walk, or |  | not any more                         |    |  | 60 s*: a line again
         another rate v  |                                      |    v  | ("steady")
                    arrival --------------------------------> arrival, the line is given up
                              64 chunks and 2 s: they wander,   |      ("unsteady")
                              or the rate is off by over 20 %   |
                                                                v
                                    a line of another rate: begin anew with that ("rate")

    * 2 min after the second time, and so on

What speaks against a line, besides arrivals that wander: the delay rises twice within 100 s, or
once where the arrivals are restless; late chunks that cannot be a loss; or three outages with less
than 60 s of a line between them. Where a line has been proven, it is another one most likely: times
are by arrival for 128 chunks, then of a line of the rate that these show ("rate"), or there is none
("unsteady").
"""

from collections.abc import Callable
from math import inf
from typing import Literal, TypeAlias

from rxstream.timing.online.wander import LIKELY_SLOPE, WanderTest

__all__ = ["NO_RATE", "OTHER_RATE", "Pace", "PaceChange"]

PaceChange: TypeAlias = Literal["line", "rate", "steady", "unsteady"]

# A slope beyond which the line is begun anew with another rate, and one which is no rate of this
# device at all. Up to the first the line follows by itself.
OTHER_RATE, NO_RATE = 0.01, 0.2
# A slope that a clock may have unannounced, in units of the settings' tolerance, where that is
# larger than `LIKELY_SLOPE`. Beyond it late chunks are no losses until the line is proven: a clock
# that was stated wrong by so much may be none.
_TOLERATED = 2
# A slope beyond which blocks are taken to wander: no crystal is that far off. (trial)
_SUSPECT = 5.1e-4
# Units that prove a line in spite of its slope, and the ratio of their scales. (trial)
_PROVEN, _PROVEN_RATIO = 1024, 0.2
# Ratio of the scales beyond which arrivals are restless, so that one rise of the delay is enough;
# the second where blocks wander. (trial)
_RESTLESS, _BENT_RESTLESS = 0.55, 0.25
# Ratio of the scales below which a loss of any size is believed, not only one of whole chunks; the
# second where blocks may wander. (trial: of random walks it was 0.35 to 0.49, and 0.12; of clocks
# up to 0.15, and 0.07)
_FIRM, _BENT_FIRM = 0.2, 0.1
# The delay may move once in this time [s].
_MOVES, _MOVES_IN = 2, 100.0
# It may fall so often: delays that are thin at the floor come nearer to it now and then.
_FALLS = 3
# Outages without a line for `_WAIT` between them: there is none.
_OUTAGES = 3
# Ratio of the scales that takes a line back, and the time it must have been given up [s]; this is
# doubled each time.
_CALM, _WAIT = 0.4, 60.0
# A clock that gets another rate has had its line for `_WAIT`, and has been proven so lately [s].
_LATELY = 30.0
# Units that show another line.
_KNOWN_AGAIN = 128
# Half width of the interval where blocks wander, in their largest distance from the line, and in
# that by which the newest ones have left it. (trial)
_BENT_WIDTH, _RISEN_WIDTH = 2.5, 2.0


class Pace:
    """Whether the line gives the times, or the arrivals themselves do.

    Parameters
    ----------
    skew_tol
        Uncertainty of the rate, as in `ClockSettings`.
    clocked
        Whether the device counts, as in `WanderTest`.

    Attributes
    ----------
    test
        What is known of the arrivals.
    by_arrival
        Whether times are those of arrival.
    given_up
        Whether that is a verdict: the line is not followed any more.
    losses
        Whether late chunks may be losses.
    trusted
        Whether nothing has spoken against the stated rate so far.
    """

    __slots__ = (
        "_again", "_anew", "_contradicted", "_falls", "_likely", "_moves", "_outages", "_proven_at",
        "_until", "_wait", "by_arrival", "given_up", "losses", "test", "trusted",
    )  # fmt: skip

    def __init__(self, skew_tol: float, *, clocked: bool = False) -> None:
        self._likely = max(LIKELY_SLOPE, _TOLERATED * skew_tol)
        self.test = WanderTest(self._likely, clocked=clocked)
        self.by_arrival = self.given_up = self.losses = self._contradicted = False
        # Whether the line was left, so that arrivals must show a new one; whether to lay it anew.
        self._anew = self._again = False
        # When a line was proven last: what contradicts it soon after is another one [s].
        self._proven_at = -inf
        self._moves: list[float] = []
        self._falls: list[float] = []
        self._outages = 0
        self._wait, self._until = _WAIT, 0.0
        # Until the stated rate is found wrong, or no clock at all.
        self.trusted = True

    @property
    def restless(self) -> bool:
        """Whether arrivals keep to the line less well than those of clocks do."""
        return self.test.ratio > (_BENT_RESTLESS if self.test.surely_bent else _RESTLESS)

    @property
    def firm(self) -> bool:
        """Whether arrivals keep to the line so well that lateness of any size may be a loss."""
        return self.test.ratio < (_BENT_FIRM if self.test.bent else _FIRM)

    @property
    def _proven(self) -> bool:
        now = self.test.passed
        return now > _WAIT and now - self._proven_at < _LATELY

    def restart(self) -> None:
        """Begin with new points; what is known of the stream stays."""
        self.test.restart()
        self._moves.clear()
        self._falls.clear()
        self._proven_at = -inf
        self._until = self._wait if self.given_up else 0.0

    def retune(self) -> None:
        """Begin with another rate."""
        self.test = WanderTest(self._likely, clocked=self.test.clocked)
        self._moves.clear()
        self._falls.clear()
        self.by_arrival, self.given_up, self.losses = True, False, False
        self.trusted = self._anew = False
        self._proven_at = -inf

    def contradict(self) -> None:
        """Note what no clock of a steady rate does.

        One that kept to a line for long may have got another rate: times are those of arrival until
        it is known what came after.
        """
        if self._proven and not self.given_up:
            self.retune()
            self._anew = True
        elif not self.given_up:
            self._contradicted = True
            self._moves.clear()

    def move(self) -> None:
        """Note that the delay has moved for good."""
        now = self.test.passed
        self._moves = [moved for moved in self._moves if now - moved < _MOVES_IN]
        self._moves.append(now)
        if len(self._moves) >= _MOVES or self.restless:
            self.contradict()

    def outage(self) -> None:
        """Note that all chunks are late by so much that the device must have begun anew.

        What is later at each chunk looks so again and again.
        """
        self._outages += 1

    def fall(self) -> None:
        """Note that the delay has fallen below all before: by a faster clock it does often."""
        now = self.test.passed
        self._falls = [fell for fell in self._falls if now - fell < _MOVES_IN]
        self._falls.append(now)
        if len(self._falls) <= _FALLS:
            return
        if self._proven:
            self.contradict()
        elif not self.given_up:
            # The slope may be that of a loss among the first chunks: begin anew, without it.
            self._again = True
            self._falls.clear()

    def explain(self, since: float | None, lost: float, exact: bool) -> None:
        """Take the lateness since a device time, or since nobody knows when, for a loss [s]."""
        if since is None:
            self.test.restart()
        else:
            self.test.forgive(since, lost, exact)
        self.by_arrival, self.test.doubtful = False, False

    def take_back(self) -> None:
        """Forget the last move: it was none."""
        if self._moves:
            self._moves.pop()

    def add(self, x: float, late: float) -> bool:
        """Add a chunk at device time ``x`` that came ``late`` after it [s].

        Returns
        -------
        bool
            Whether to `decide`.
        """
        asked = self._contradicted or self._again or self._outages >= _OUTAGES
        return self.test.add(x, late) or asked

    def leaves_line(self, since: float, lost: float) -> bool:
        """Whether a clock has ceased to keep to its line, though it may have lost something [s]."""
        return self._proven and self.test.walks(since, lost)

    def half_width(self, floor: Callable[[float], float]) -> float:
        """Return the uncertainty of the floor as far as blocks wander, or have left it [s]."""
        test = self.test
        suspect = max(_SUSPECT, self._likely - LIKELY_SLOPE)
        wanders = test.bent or (abs(test.slope) > suspect if test.firm else test.tilted)
        risen = _RISEN_WIDTH * test.risen(floor)
        return max(risen, _BENT_WIDTH * test.farthest(floor)) if wanders else risen

    def decide(self) -> PaceChange | None:
        """Look at what is known now; return what has to be done and reported."""
        test = self.test
        if self._outages >= _OUTAGES:
            self._outages = 0
            return self._give_up()
        if self._again:
            self._again = False
            return "line"
        if test.passed > _WAIT:
            self._outages = 0
        slope, known = abs(test.slope), test.verdict != "unknown"
        if self._contradicted:
            self._contradicted = False
            if known:
                test.verdict = "wanders"
        if not known:
            self.by_arrival = self._anew or test.doubtful
            return None
        if not test.firm and not self.given_up:
            return None
        if test.verdict == "wanders" or slope > NO_RATE:
            return self._give_up()
        calm = test.ratio < _CALM and not test.bent
        if self.given_up and (test.passed < self._until or not calm):
            return None
        if self._anew and test.units < _KNOWN_AGAIN:
            return None
        if slope > OTHER_RATE:
            if test.sure_slope:
                return "rate"
            self.by_arrival, self.losses = True, False
            return None
        if self._anew:
            self.by_arrival = self._anew = False
            return "rate" if slope > self._likely else "line"
        back, self.given_up, self.by_arrival = self.given_up, False, False
        proven = test.units > _PROVEN and test.ratio < _PROVEN_RATIO and not test.bent
        if proven:
            self._proven_at = test.passed
        self.losses = proven or (slope < self._likely and self.trusted)
        return "steady" if back else None

    def _give_up(self) -> PaceChange | None:
        if self.given_up:
            return None
        self.given_up = self.by_arrival = True
        self.losses = False
        self.trusted = self._anew = False
        self._proven_at = -inf
        self._wait *= 2
        self._until = self.test.passed + self._wait / 2
        return "unsteady"
