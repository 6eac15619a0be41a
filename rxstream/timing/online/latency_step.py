"""Time kept continuous across a permanent change of latency.

After a change of latency the new line lies beside the old one by an unknown step. The clock has
not jumped: both lines must give the same time where they meet. So the step is the difference of
the lines there, and is known better the longer the new line is.
"""

from math import hypot

from rxstream.timing.online.envelope import LowerEnvelope

__all__ = ["LatencyStep"]


class LatencyStep:
    """The step between the least delay now and the least delay known.

    Attributes
    ----------
    step
        To be subtracted from the line [s]. Never negative: a delay below the least known one
        shows that that one was not the least.
    half_width
        Uncertainty of the step [s]: of both lines at this change and at those before it, which
        are independent.
    """

    __slots__ = ("_before", "_until", "_value", "_x", "half_width", "step")

    def __init__(self) -> None:
        self.step = self.half_width = 0.0
        self._x = self._value = self._until = self._before = 0.0

    def begin(self, x: float, value: float, until: float, half_width: float) -> None:
        """Hold the line at this value at ``x`` [s], and adapt the step until ``until``.

        Parameters
        ----------
        half_width
            Uncertainty of the value by the old line [s].
        """
        self._x, self._value, self._until = x, value, until
        self._before = self.half_width = hypot(self.half_width, half_width)

    def end(self) -> None:
        """Drop the step: the line itself is the floor."""
        self.step = self.half_width = self._until = 0.0

    @property
    def moving(self) -> bool:
        """Whether the step is still being measured."""
        return self._until > 0

    def follow(self, line: LowerEnvelope, x: float) -> None:
        """Adapt the step to the present line, at device time ``x`` [s]."""
        self.step = line.at(self._x) - self._value
        if self.step < 0:
            self.end()
        elif x > self._until:
            self._until = 0.0

    def measure(self, line: LowerEnvelope) -> None:
        """Add the uncertainty of the present line at the change to that of the lines before."""
        self.half_width = hypot(self._before, line.uncertainty(self._x))
