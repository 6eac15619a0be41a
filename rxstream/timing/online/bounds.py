"""Times bounded from both sides, by a request and its response or by a stamp of known error.

The lower bounds have an envelope of their own, the mirror image of the upper one: the line above
all of them. The truth lies anywhere between the two lines (TICSync: Harrison & Newman, "TICSync:
knowing when things happened", ICRA 2011), so the time is their middle, and half their distance
belongs to its uncertainty.
"""

from rxstream.timing.online.envelope import LowerEnvelope

__all__ = ["LowerBounds"]

# Points from which the lines are trusted beyond the bounds of the chunk itself. As many as make a
# wrong prior of the slope show in the envelope.
_MIN_POINTS = 40


class LowerBounds:
    """The line over the lower bounds, and the middle between it and the upper line."""

    __slots__ = ("_envelope",)

    def __init__(self, upper: LowerEnvelope, slope_sd: float) -> None:
        self._envelope = upper.mirror(slope_sd)

    def add(self, x: float, offset: float, upper: LowerEnvelope) -> None:
        """Add a lower bound ``offset`` of the line at ``x`` [s]."""
        envelope = self._envelope
        envelope.scale, envelope.span = upper.scale, upper.span
        envelope.add(x, -offset)

    def middle(
        self, x: float, upper_line: float, upper: LowerEnvelope, low: float, high: float
    ) -> tuple[float, float]:
        """Return the time at ``x`` as an offset and its half width [s].

        Parameters
        ----------
        x
            Device time [s].
        upper_line
            Upper line at ``x``, less its bias [s].
        upper
            The upper envelope.
        low, high
            Bounds of this very chunk as offsets [s].
        """
        envelope = self._envelope
        line = -envelope.floor(x)
        half_width = upper.uncertainty(x) / 2
        # Lines that cross, or rest on few points, must not leave the bounds of the chunk.
        if upper.points < _MIN_POINTS or line > upper_line:
            line, upper_line = max(line, low), min(upper_line, high)
        return (line + upper_line) / 2, abs(upper_line - line) / 2 + half_width
