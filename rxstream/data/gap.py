"""`Gap`: what was lost, told in the stream."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Gap", "GapAt", "GapReason", "add_gap", "cut_gaps"]

GapReason: TypeAlias = Literal[
    "overrun", "dropped", "lag", "disconnect", "restart", "overlap", "unmatched"
]


@dataclass(frozen=True, slots=True)
class Gap:
    """What was lost between two samples.

    Attributes
    ----------
    start, end
        From where to where [ns].
    lost
        How many samples, or None where nobody can know.
    reason
        ``overrun`` (the driver was not read in time), ``dropped`` (the device says so, or its
        numbers do), ``lag`` (this subscriber was too slow), ``disconnect``, ``restart``,
        ``overlap`` (the device's times went back), ``unmatched`` (`align` found no partner).
    whole
        What it was cut from, if it is a part.
    """

    start: int
    end: int
    lost: int | None
    reason: GapReason
    whole: "Gap | None" = field(default=None, compare=False, repr=False)

    @property
    def duration(self) -> float:
        """Length [s]."""
        return (self.end - self.start) / 1e9

    def between(self, t0: int, t1: int) -> "Gap":
        """Return the part from ``t0`` to ``t1`` [ns]; the parts' ``lost`` add up exactly."""
        t0, t1 = max(t0, self.start), min(t1, self.end)
        if t0 == self.start and t1 == self.end:
            return self
        whole = self.whole or self
        if t0 == whole.start and t1 == whole.end:
            return whole
        if whole.lost is None:
            return Gap(t0, t1, None, self.reason, whole)
        span = whole.end - whole.start
        before = [whole.lost * (t - whole.start) // span for t in (t0, t1)]
        return Gap(t0, t1, before[1] - before[0], self.reason, whole)

    def join(self, other: "Gap", reason: GapReason | None = None) -> "Gap":
        """Return one gap from the start of this to the end of ``other``."""
        if self.continues(other) and self.whole:
            return self.whole.between(self.start, other.end)
        lost = None if self.lost is None or other.lost is None else self.lost + other.lost
        return Gap(
            min(self.start, other.start), max(self.end, other.end), lost, reason or self.reason
        )

    def continues(self, other: "Gap") -> bool:
        """Whether ``other`` is the rest of this one, cut at its end."""
        return self.whole is not None and self.end == other.start and self.whole == other.whole

    def shifted(self, by: int) -> "Gap":
        """Return it later by ``by`` [ns]."""
        whole = None if self.whole is None else self.whole.shifted(by)
        return Gap(self.start + by, self.end + by, self.lost, self.reason, whole)

    def __str__(self) -> str:
        count = "unknown number of" if self.lost is None else str(self.lost)
        return f"gap of {self.duration:.6g} s, {count} samples lost ({self.reason})"


class GapAt(NamedTuple):
    """A gap, and its place in a chunk."""

    position: int
    """Number of samples of the chunk that lie before it."""
    gap: Gap


def cut_gaps(
    gap_positions: Iterable[GapAt], i: int, j: int, x: int, y: int, last: int | None
) -> tuple[int, int, tuple[GapAt, ...]]:
    """Return what is left of the gaps where samples ``i:j`` from ``x`` to ``y`` [ns] are cut.

    A gap without length belongs to what comes after it, or at ``last`` [ns], where nothing does,
    to what comes before. Returns the start of what is left (after a gap at its
    very beginning), how many lost samples come before its first sample, and its gap_positions.
    """
    start, shift, kept = x, 0, []
    for at, gap in gap_positions:
        if 0 < at <= i:
            shift += gap.lost or 0
        inside = x < gap.end and gap.start < y and x < y
        point = x <= gap.start == gap.end and (gap.end < y or x < gap.end == y == last)
        if inside or point:
            part = gap.between(x, y)
            kept.append(GapAt(min(max(at - i, 0), j - i), part))
            if part.start == start:
                start = part.end
        elif at == i == j and y <= gap.start:  # it comes after: what it lost is not before us
            shift -= gap.lost or 0
        if at == i == j and (inside or gap.start < x == y) and y < gap.end:  # a part comes after
            shift -= gap.between(y, gap.end).lost or 0
    return start, shift, tuple(kept)


def add_gap(gap_positions: list[GapAt], position: int, gap: Gap) -> None:
    """Add a gap before ``position`` after all others; what was cut in two becomes one again."""
    last = gap_positions[-1] if gap_positions else None
    if last is not None and last.position == position and last.gap.continues(gap):
        gap_positions[-1] = GapAt(position, last.gap.join(gap))
    else:
        gap_positions.append(GapAt(position, gap))
