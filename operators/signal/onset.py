"""onset: when a level rises over a threshold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.axis import NO_TIMES
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.equal_stamps import EqualStamps
from rxstream.data.gap import Gap, GapAt
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.signal.kernels import load_kernel, load_scipy
from rxstream.operators.signal.numeric import check_numbers, check_rate
from rxstream.printable import shown
from rxstream.steps.contiguous_runs import ContiguousRuns, OnGap
from rxstream.steps.hysteresis import Flags, Hysteresis
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice, is_number

__all__ = ["onset"]

# the largest ratio to the background [dB]: 1e50, more than any sensor spans, and far from overflow
_MAX_RATIO_DB = 1000.0
_NO_SAMPLES = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class _Options:
    """Thresholds and times of `onset`.

    Attributes
    ----------
    high, low
        Levels at which it is on, and below which it is off, in units of the data.
    above, below
        The same as ratios to the background.
    mean
        Time constant of the background [ns], None if there is none.
    holdoff
        Least time from one onset to the next [ns].
    bridge
        Whether its state goes on over a gap.
    """

    high: float
    low: float
    above: float
    below: float
    mean: int | None
    holdoff: int
    bridge: bool


class _Background:
    """Exponential mean of the magnitude of each channel before each sample."""

    __slots__ = ("_kernel", "_last", "_sos", "_state")

    def __init__(self, info: StreamInfo, mean: int) -> None:
        self._kernel = load_kernel()
        keep = exp(-1e9 / check_rate(info, "onset") / mean)
        self._sos = np.array([[1 - keep, 0, 0, 1, -keep, 0]])
        self._last: NDArray[Any] | None = None

    def reset(self) -> None:
        self._last = None

    def push(self, x: NDArray[Any]) -> NDArray[Any]:
        """Take magnitudes ``(n, channels)``; return the means before each.

        Samples that are not finite are left out, as the mean would never be finite again.
        """
        finite = np.isfinite(x).all(axis=1)
        if not finite.all():
            places: NDArray[np.intp] = np.cumsum(finite) - finite
            return self._means(x[finite])[places]
        return self._means(x)[:-1]

    def _means(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the means before each and after the last."""
        last = self._last
        if last is None:
            if not len(x):
                return np.full((1, x.shape[1]), np.nan)
            last = x[0]
            self._state = (last * -self._sos[0, 4])[:, None, None] * np.array([[1.0, 0.0]])
        if not len(x):
            return last[None]
        means = np.array(x.T, np.float64, order="C")
        self._kernel(self._sos, means, self._state)
        self._last = means[:, -1].copy()
        return np.concatenate((last[None], means.T))


class _Onset:
    """A `Step`: the samples at which a level rises."""

    __slots__ = ("_background", "_begun", "_count", "_given", "_info", "_next", "_options", "_runs",
                 "_stamps", "_state")  # fmt: skip

    def __init__(self, options: _Options) -> None:
        self._options, self._runs = options, ContiguousRuns()
        self._background: _Background | None = None
        # on until it has been seen off: when it rose is unknown
        self._state = Hysteresis(is_open=True)
        self._begun = False
        self._stamps = EqualStamps()
        # onsets so far
        self._count = 0
        # time before which there is no further onset [ns]
        self._next: int | None = None
        self._given: StreamInfo | None = None
        self._info: StreamInfo

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        if chunk.info is not self._given:
            self._begin(chunk.info)
        found = [i + self._rises(chunk[i:j], broken) for i, j, broken in self._runs.cut(chunk)]
        at = np.concatenate(found) if found else _NO_SAMPLES
        stamps = self._stamps.of(chunk) if self._options.holdoff else NO_TIMES.times()
        if len(at) and self._options.holdoff:
            at = self._held_off(at, stamps[at])
        index = self._count
        self._count += len(at)
        data = chunk.data[at]
        data.flags.writeable = False
        gap_positions = tuple(
            GapAt(int(at.searchsorted(place)), _of_onsets(gap))
            for place, gap in chunk.gap_positions
        )
        axis = chunk.axis.take(at)
        return (Chunk(data, axis, chunk.start, chunk.end, index, self._info, gap_positions),)

    def flush(self) -> tuple[()]:
        return ()

    def _begin(self, info: StreamInfo) -> None:
        """Begin anew for a stream of another description."""
        if info != self._given:
            check_numbers(info, "onset")
            if info.dtype.kind == "c":
                msg = f"onset: {info.name} is {info.dtype}, which does not rise; use ops.rms before"
                raise ChunkError(msg)
            if self._options.mean is not None:
                self._background = _Background(info, self._options.mean)
            self._info = replace(info, rate=None)
            self._begun = False
        self._given = info

    def _rises(self, piece: Chunk, broken: bool) -> NDArray[np.intp]:
        """Return at which of some adjacent samples it turns on."""
        if broken and not (self._options.bridge and self._begun):
            self._begun, self._state = True, Hysteresis(is_open=True)
            if self._background is not None:
                self._background.reset()
        on, off = self._judge(piece.data.reshape(len(piece), int(np.prod(piece.shape[1:]))))
        if self._state.stays(on, off):
            return _NO_SAMPLES
        is_open, was_open = self._state.switch(on, off)
        return np.flatnonzero(is_open & ~was_open)

    def _judge(self, x: NDArray[Any]) -> tuple[Flags, Flags]:
        """Return where samples ``(n, channels)`` are on, and where they are off, ``(n,)``."""
        options, background = self._options, self._background
        if background is None:
            on = np.any(x >= options.high, axis=1)
            return on, np.all(x < options.low, axis=1) & ~on
        x = np.abs(x.astype(np.float64))
        before = background.push(x)
        # without x > 0, silence would be on against a background of silence
        rise = np.maximum(before * options.above, options.high)
        on = np.any((x >= rise) & (x > 0), axis=1)
        fall = np.maximum(before * options.below, options.low)
        return on, np.all((x < fall) | (x == 0), axis=1) & ~on

    def _held_off(self, at: NDArray[np.intp], times: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return those of onsets ``at``, at ``times`` [ns], that no other comes shortly before."""
        kept = list[int]()
        k = 0 if self._next is None else int(times.searchsorted(self._next))
        while k < len(at):
            kept.append(k)
            self._next = int(times[k]) + self._options.holdoff
            k = int(times.searchsorted(self._next))
        return at[kept]


def _of_onsets(gap: Gap) -> Gap:
    """Return a gap as one with an unknown number of onsets in it."""
    whole = None if gap.whole is None else _of_onsets(gap.whole)
    return Gap(gap.start, gap.end, None, gap.reason, whole)


@label
def onset(
    threshold: float | None = None,
    *,
    off: float | None = None,
    above: float | None = None,
    background: Duration = 5.0,
    holdoff: Duration = 0.0,
    on_gap: OnGap = "bridge",
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Emit the samples at which a level rises over a threshold: a stream of events.

    .. marble::

        --1-2-7-8-4-3-1-9-2--|
        [    onset(6)        ]
        ------7---------9----|

    Parameters
    ----------
    threshold
        Level that at least one channel of a sample must reach, in units of the data. It is compared
        with the samples, not with their magnitude; for sound use `rms` before.
    off
        Level below which all channels must have been before the next onset. If it is lower than the
        threshold, a wavering level gives one onset. In units of the data; with ``above``, in dB.
        Default: the level that turns it on.
    above
        Ratio of the magnitude to the background that must be reached, as ``20 * log10`` [dB]; with
        a ``threshold``, both must be.
    background
        Time constant of the background [s], an exponential mean of each channel's magnitude before
        the sample. A level that lasts as long becomes the background.
    holdoff
        Least time from one onset to the next [s].
    on_gap
        ``"bridge"``: a level that is off before a gap, or before a jump of the samples' numbers,
        and on after it has an onset at the first sample after. ``"reset"``: it begins anew.

    Returns
    -------
    operator
        Chunks of the samples at which it rises, with their times; ``info.rate`` is None, and their
        numbers count onsets. Where nothing rises only heartbeats go on. A level that is on at the
        very beginning rose at an unknown time, so it has to be off first. Gaps stay, with an
        unknown number of onsets in them.

    Raises
    ------
    ParameterError
        If there is neither ``threshold`` nor ``above``, ``off`` is higher, or a duration is not
        positive.
    MissingExtraError
        With ``above``, without scipy (extra ``signal``).
    ChunkError
        Downstream, for samples that are not real numbers, and with ``above`` for streams without a
        rate.

    See Also
    --------
    gate : passes the samples while a level is on.
    capture : a clip around each onset.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> level = np.array([1.0, 2, 7, 8, 4, 3, 1, 9, 2])
    >>> whole = Chunk.regular(level, StreamInfo("level", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:4], whole[4:]).pipe(onset(6)).subscribe(
    ...     lambda c: print(c.data, c.time / 1e9)).dispose()
    [7.] [0.2]
    [9.] [0.7]
    """
    if threshold is None and above is None:
        msg = "onset needs a threshold, above= [dB], or both"
        raise ParameterError(msg)
    high = 0.0 if threshold is None else _number(threshold, "threshold")
    ratio = high if above is None else _number(above, "above")
    low = ratio if off is None else _number(off, "off")
    if above is not None and abs(ratio) > _MAX_RATIO_DB:
        msg = f"onset: above must be within ±{_MAX_RATIO_DB:g} dB, not {shown(above)}"
        raise ParameterError(msg)
    if low > ratio:
        msg = f"onset: off must not be higher than what turns it on; {shown(off)} > {ratio:g}"
        raise ParameterError(msg)
    check_choice(on_gap, OnGap, "on_gap")
    mean, pause = to_span(background, "background"), to_span(holdoff, "holdoff", zero=True)
    bridge = on_gap == "bridge"
    if above is None:
        options = _Options(high, low, 0.0, 0.0, None, pause, bridge)
    else:
        load_scipy()
        options = _Options(high, high, 10 ** (ratio / 20), 10 ** (low / 20), mean, pause, bridge)
    return lift_in_order(lambda: _Onset(options))


def _number(value: Any, name: str) -> float:
    if not is_number(value):
        msg = f"onset: {name} must be a finite number, not {shown(value)}"
        raise ParameterError(msg)
    return float(value)
