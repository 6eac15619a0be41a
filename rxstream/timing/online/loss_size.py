"""How large a loss is whose chunks are late by some time."""

from typing import NamedTuple

__all__ = ["LEAST_BLUR", "LossSize", "loss_size"]

# Where a loss is known to this part of a period, it must be of whole periods. It is known to so
# many scales of the delay over the number of chunks, and so many uncertainties of the line, and
# never better than to the last part. (trial)
_WHOLE, _BLUR_SCALES, _BLUR_WIDTHS, LEAST_BLUR = 0.15, 3, 2, 0.02
# Part of a chunk that delays are shorter than where a loss of whole chunks shows. (trial)
_SHORT_DELAYS = 0.25


class LossSize(NamedTuple):
    """By how much a run of chunks is late."""

    samples: float
    """In samples."""
    whole: bool
    """Whether they may be a whole number."""
    in_chunks: bool
    """Whether they may be whole chunks."""
    exact: float
    """Whole chunks [s] if it is known that well; else 0."""


def loss_size(
    late: float, fresh: int, rate: float, step: float, scale: float, width: float
) -> LossSize:
    """Return by how much chunks are late.

    Where delays are much shorter than a period, a loss shows by that; where they are much shorter
    than a chunk, one of whole chunks does, which is what gets lost most likely.

    Parameters
    ----------
    late
        The least of them [s].
    fresh
        How many there are.
    rate
        Samples per second [Hz].
    step
        Length of a chunk [s].
    scale, width
        Scale of the delays, and uncertainty of the line [s].

    Examples
    --------
    >>> loss_size(0.2003, 10, 1000.0, 0.1, 1e-4, 1e-5)
    LossSize(samples=200.3, whole=False, in_chunks=True, exact=0.0)
    """
    known = _BLUR_SCALES * scale / max(fresh, 1)
    blur = known + _BLUR_WIDTHS * width
    samples, chunks = late * rate, round(late / step)
    whole = blur * rate > _WHOLE or abs(samples - round(samples)) < max(blur * rate, LEAST_BLUR)
    # The least of some thin-tailed delays lies some scales above the line.
    off, near = abs(late - chunks * step), min(max(blur, _BLUR_SCALES * scale), _WHOLE * step)
    short = known < _WHOLE * step and scale < _SHORT_DELAYS * step
    likely = chunks > 0 and short and off < near
    return LossSize(samples, whole, likely, chunks * step if likely and off < blur else 0.0)
