"""A steadier slope from the lowest points of all buckets, for delays that are thin at the floor.

Where many delays come near the floor, the lowest points know it best: their error falls with the
number of delays, not with its root. Where delays are thin there (a log-normal, a sum of many
causes), the two points that the line rests on are mere outliers, and the minima of all buckets
together know the slope better. The line is then turned about its middle.
"""

__all__ = ["tilt_of"]


def tilt_of(xs: list[float], above: list[float]) -> float:
    """Return the slope of the regression line through minima ``above`` a line at ``xs`` [s].

    Examples
    --------
    >>> tilt_of([0.0, 1.0, 2.0], [0.0, 0.5, 1.0])
    0.5
    """
    size = len(xs)
    cap = 4 * sorted(above)[size // 2]  # a few late buckets must not count too much
    middle = sum(xs) / size
    square = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * min(v, cap) for x, v in zip(xs, above, strict=True)) / max(
        square, 1e-12
    )
