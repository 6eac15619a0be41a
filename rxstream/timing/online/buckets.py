"""The lowest point of each stretch of time, in bounded memory.

A line under all points can only touch low ones. Time is cut into buckets, each of which keeps its
lowest point, seen along the present slope. When there are too many buckets, old ones are dropped
and neighbours merged, until a bucket is 1/32 of the window long. A window of any number of points
then needs some 64 buckets, and a point costs O(1).
"""

from bisect import bisect_left

__all__ = ["Buckets"]

# Buckets of a window. More follow the floor more finely, and each has fewer points to find its
# lowest in. (study)
_PER_WINDOW = 32
# Merging halves their number, so that it stays between one and two times the above.
_MAX_BUCKETS = 2 * _PER_WINDOW
# Merge when so few places are left, not at the very last one.
_SPARE = 4
# The newest buckets stay although the window is shorter: fewer show no slope.
_MIN_BUCKETS = 8


class Buckets:
    """Sliding-window minima of points ``(x, offset)``; the newest bucket is open.

    Attributes
    ----------
    x, offset
        Lowest point of each closed bucket [s].
    count
        Fresh points in it: those that did not wait behind another one.
    end
        End of each closed bucket [s].
    open_x, open_offset, open_count
        The same for the open bucket.
    width
        Length of a bucket [s]; 0 at first, when each point is a bucket of its own.
    """

    __slots__ = (
        "_empty", "_open_end", "count", "end", "offset", "open_count", "open_offset", "open_x",
        "width", "x",
    )  # fmt: skip

    def __init__(self) -> None:
        self.x: list[float] = []
        self.offset: list[float] = []
        self.count: list[int] = []
        self.end: list[float] = []
        self.width = 0.0
        self.open_x = self.open_offset = self._open_end = 0.0
        self.open_count = 0
        self._empty = True

    @property
    def oldest(self) -> float:
        """Place of the oldest point [s]."""
        return self.x[0] if self.x else self.open_x

    def closes_at(self, x: float, fresh: bool) -> bool:
        """Whether a point at ``x`` [s] begins a new bucket."""
        return (x > self._open_end and (fresh or self.width > 0)) or self._empty

    def begin(self, x: float, offset: float, fresh: bool, slope: float, window: float) -> None:
        """Close the open bucket and begin one with this point [s]."""
        if not self._empty:
            self.x.append(self.open_x)
            self.offset.append(self.open_offset)
            self.count.append(self.open_count)
            self.end.append(self._open_end)
            if len(self.x) > _MAX_BUCKETS:
                self._shrink(x, slope, window)
        self.open_x, self.open_offset, self.open_count = x, offset, int(fresh)
        self._empty = False
        self._open_end = x + self.width

    def lower(self, x: float, offset: float, fresh: bool, slope: float) -> bool:
        """Add a point [s] to the open bucket; return whether it is its lowest now."""
        self.open_count += fresh
        if offset - self.open_offset < slope * (x - self.open_x):
            self.open_x, self.open_offset = x, offset
            return True
        return False

    def first_since(self, x: float) -> int:
        """Return the number of the first closed bucket that reaches to ``x`` [s] or beyond."""
        return bisect_left(self.end, x)

    def _shrink(self, now: float, slope: float, window: float) -> None:
        old = min(self.first_since(now - window), len(self.end) - _MIN_BUCKETS)
        if old > 0:
            del self.x[:old], self.offset[:old], self.count[:old], self.end[:old]
        size, ideal = len(self.x), window / _PER_WINDOW
        # Buckets that are still short merge early: at half as many again as a window should have.
        if size > _MAX_BUCKETS - _SPARE or (self.width < ideal and size > 1.5 * _PER_WINDOW):
            self._merge(slope)
            self.width = min((now - self.x[0]) / len(self.x), ideal)

    def _merge(self, slope: float) -> None:
        """Make one bucket of every two neighbours."""
        x, offset, count, end = self.x, self.offset, self.count, self.end
        # Of an odd number the newest stays alone: pair it with an empty copy of itself.
        if len(x) % 2:
            x.append(x[-1])
            offset.append(offset[-1])
            count.append(0)
            end.append(end[-1])
        pairs = range(0, len(x), 2)
        low = [i + (offset[i + 1] - offset[i] < slope * (x[i + 1] - x[i])) for i in pairs]
        self.x, self.offset = [x[i] for i in low], [offset[i] for i in low]
        self.count = [count[i] + count[i + 1] for i in pairs]
        self.end = end[1::2]
