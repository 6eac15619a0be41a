"""Keep time continuous where the delay changes for good.

After a change of latency the new line lies beside the old one by an unknown step. The clock has
not jumped: the time told at the joint must be the same by both lines. So the new line is shifted
by their difference at the joint, which becomes sharper while the new line does.
"""

from math import hypot

from rxstream.timing.online.envelope import LowerEnvelope

__all__ = ["LatencyStep"]


class LatencyStep:
    """The step between the least delay now and the least delay known.

    Attributes
    ----------
    step
        To be subtracted from the line [s]; never negative, as a delay below the lowest known one
        shows that that was not the least.
    doubt
        How far it may be off [s]: by the doubts of both lines at this joint and at those before it,
        which are independent.
    """

    __slots__ = ("_before", "_until", "_value", "_x", "doubt", "step")

    def __init__(self) -> None:
        self.step = self.doubt = 0.0
        self._x = self._value = self._until = self._before = 0.0

    def begin(self, x: float, value: float, until: float, doubt: float) -> None:
        """Hold the line at this value at ``x`` [s], and adapt the step until ``until``.

        Parameters
        ----------
        doubt
            How far the value may be off by the old line [s].
        """
        self._x, self._value, self._until = x, value, until
        self._before = self.doubt = hypot(self.doubt, doubt)

    def end(self) -> None:
        """Forget the step: the line as it is, is the floor."""
        self.step = self.doubt = self._until = 0.0

    @property
    def moving(self) -> bool:
        """Whether the step is still being measured."""
        return self._until > 0

    def follow(self, line: LowerEnvelope, x: float) -> None:
        """Adapt the step to the present line; ``x`` is now [s]."""
        self.step = line.at(self._x) - self._value
        if self.step < 0:
            self.end()
        elif x > self._until:
            self._until = 0.0

    def measure(self, line: LowerEnvelope) -> None:
        """Add the doubt of the present line at the joint to what was known before."""
        self.doubt = hypot(self._before, line.uncertainty(self._x))
