"""Keep time continuous where the delay changes for good.

After a change of latency the new line lies beside the old one by an unknown step. The clock has
not jumped: the time told at the joint must be the same by both lines. So the new line is shifted
by their difference at the joint, which becomes sharper while the new line does.
"""

from rxstream.timing.envelope import Envelope

__all__ = ["Joint"]


class Joint:
    """The step between the least delay now and the least delay known.

    Attributes
    ----------
    step
        To be subtracted from the line [s]; never negative, as a delay below the lowest known one
        shows that that was not the least.
    """

    __slots__ = ("_until", "_value", "_x", "step")

    def __init__(self) -> None:
        self.step = 0.0
        self._x = self._value = self._until = 0.0

    def begin(self, x: float, value: float, until: float) -> None:
        """Hold the line at this value at ``x`` [s], and adapt the step until ``until``."""
        self._x, self._value, self._until = x, value, until

    def end(self) -> None:
        """Forget the step: the line as it is, is the floor."""
        self.step = self._until = 0.0

    @property
    def moving(self) -> bool:
        """Whether the step is still being measured."""
        return self._until > 0

    def follow(self, line: Envelope, x: float) -> None:
        """Adapt the step to the present line; ``x`` is now [s]."""
        self.step = line.at(self._x) - self._value
        if self.step < 0:
            self.end()
        elif x > self._until:
            self._until = 0.0
