"""`Gap`: a loss, reported in the stream."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from rxstream.errors import ParameterError
from rxstream.printable import counted, shown
from rxstream.validation import check_choice, is_time, is_whole

__all__ = ["Gap", "GapAt", "GapReason", "add_gap", "cut_gaps"]

GapReason: TypeAlias = Literal[
    "overrun", "dropped", "lag", "disconnect", "restart", "suspended", "overlap", "unmatched"
]

# Numbers of samples are int64, with room for a sum of some.
_MAX_LOST = 1 << 62


@dataclass(frozen=True, slots=True)
class Gap:
    """What was lost between two samples.

    Attributes
    ----------
    start, end
        Interval of the loss [ns], end exclusive.
    lost
        Number of samples lost; None where it cannot be known.
    reason
        ``overrun`` (the driver was not read in time), ``dropped`` (the device says so, or its
        numbers do), ``lag`` (this subscriber was too slow), ``disconnect``, ``restart``,
        ``suspended`` (the computer slept), ``overlap`` (the device's times went back),
        ``unmatched`` (`align` found no partner).
    whole
        The gap that this one is a part of, if it was cut.
    """

    start: int
    end: int
    lost: int | None
    reason: GapReason
    whole: "Gap | None" = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not is_time(self.start) or not is_time(self.end):
            msg = f"Gap: start and end must be int [ns], not {shown(self.start)}, {shown(self.end)}"
            raise ParameterError(msg)
        if self.lost is not None and not (is_whole(self.lost, 0) and self.lost < _MAX_LOST):
            msg = f"Gap: lost must be a number of samples, or None, not {shown(self.lost)}"
            raise ParameterError(msg)
        check_choice(self.reason, GapReason, "Gap: reason")
        if self.whole is not None and not isinstance(self.whole, Gap):
            msg = f"Gap: whole must be a Gap, or None, not {shown(self.whole)}"
            raise ParameterError(msg)
        # numpy's small integers overflow
        for name in ("start", "end", "lost"):
            value = getattr(self, name)
            if isinstance(value, np.integer):
                object.__setattr__(self, name, int(value))

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
        """Return the same gap later by ``by`` [ns]."""
        whole = None if self.whole is None else self.whole.shifted(by)
        return Gap(self.start + by, self.end + by, self.lost, self.reason, whole)

    def __str__(self) -> str:
        lost = "unknown number of samples" if self.lost is None else counted(self.lost, "sample")
        return f"gap of {self.duration:.6g} s, {lost} lost ({self.reason})"


class GapAt(NamedTuple):
    """A gap, and its place in a chunk."""

    position: int
    """Number of samples of the chunk that lie before it."""
    gap: Gap


def cut_gaps(
    gap_positions: Iterable[GapAt], i: int, j: int, x: int, y: int, last: int | None
) -> tuple[int, int, tuple[GapAt, ...]]:
    """Return what is left of the gaps where samples ``i:j`` from ``x`` to ``y`` [ns] are cut.

    Parameters
    ----------
    gap_positions
        Gaps in order, with positions in the chunk that is cut.
    i, j
        Positions of the first sample that stays and of the one after the last.
    x, y
        Interval that stays [ns].
    last
        End of the stream [ns] where it is known, else None: a gap without length belongs to what
        comes after it, and at the end of the stream to what comes before.

    Returns
    -------
    start
        Start of what is left [ns], after a gap at its very beginning.
    shift
        Lost samples between sample ``i`` of the whole and the first one that is left.
    gap_positions
        Gaps and parts of gaps that lie in the interval.
    """
    start, shift, kept = x, 0, list[GapAt]()
    for at, gap in gap_positions:
        # What was lost before sample i is counted in its number, though not in its position.
        if 0 < at <= i:
            shift += gap.lost or 0
        overlaps = x < gap.end and gap.start < y and x < y
        touches = x <= gap.start == gap.end and (gap.end < y or x < gap.end == y == last)
        if overlaps or touches:
            part = gap.between(x, y)
            kept.append(GapAt(min(max(at - i, 0), j - i), part))
            if part.start == start:
                start = part.end
        # Without samples, nothing but the time says whether a gap comes before or after the cut:
        # what was counted in above, or by the number of the next sample, is taken back.
        if at == i == j:
            if y <= gap.start and not touches:
                shift -= gap.lost or 0
            elif y < gap.end and (overlaps or gap.start < x == y):
                shift -= gap.between(y, gap.end).lost or 0
    return start, shift, tuple(kept)


def add_gap(gap_positions: list[GapAt], position: int, gap: Gap) -> None:
    """Append a gap at ``position``; the two parts of one that was cut become one again."""
    last = gap_positions[-1] if gap_positions else None
    if last is not None and last.position == position and last.gap.continues(gap):
        gap_positions[-1] = GapAt(position, last.gap.join(gap))
    else:
        gap_positions.append(GapAt(position, gap))
