"""Two-sided evidence: a request was sent before a sample was taken, a stamp is late by at most so.

The lower bounds have an envelope of their own, the mirror image of the upper one: the line above
all of them. The truth lies between the two lines, and nothing says where (TICSync: Harrison &
Newman, "TICSync: knowing when things happened", ICRA 2011), so the middle is told, and half the
distance as its uncertainty.
"""

from rxstream.timing.online.envelope import LowerEnvelope

__all__ = ["LowerBounds"]


class LowerBounds:
    """The line over the lower bounds, and the middle between it and the upper line."""

    __slots__ = ("_envelope",)

    def __init__(self, upper: LowerEnvelope, doubt: float) -> None:
        self._envelope = upper.mirror(doubt)

    def add(self, x: float, offset: float, upper: LowerEnvelope) -> None:
        """Add a lower bound ``offset`` of the line at ``x`` [s]."""
        envelope = self._envelope
        envelope.scale, envelope.span = upper.scale, upper.span
        envelope.add(x, -offset)

    def middle(
        self, x: float, upper_line: float, upper: LowerEnvelope, low: float, high: float
    ) -> tuple[float, float]:
        """Return the line's value at ``x`` and its half width [s].

        Parameters
        ----------
        x
            Device time [s].
        upper_line
            Upper line at ``x``, its bias taken off [s].
        upper
            The upper envelope.
        low, high
            The bounds of this very chunk as offsets [s].
        """
        envelope = self._envelope
        line = -envelope.floor(x)
        doubt = upper.uncertainty(x) / 2
        if upper.points < 40 or line > upper_line:  # the lines are not known yet, or cross
            line, upper_line = max(line, low), min(upper_line, high)
        return (line + upper_line) / 2, abs(upper_line - line) / 2 + doubt
