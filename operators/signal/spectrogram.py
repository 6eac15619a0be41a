"""spectrogram: power of each frequency over time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.signal.frames import FramedStep, FrameSpec
from rxstream.operators.signal.kernels import load_scipy
from rxstream.operators.signal.numeric import check_numbers, check_rate, result_type
from rxstream.printable import shown
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice

__all__ = ["spectrogram"]

Scaling = Literal["density", "spectrum", "magnitude"]
Detrend = Literal["constant", "none"]


@label
def spectrogram(
    duration: Duration,
    *,
    every: Duration | None = None,
    window: str | tuple[Any, ...] | ArrayLike = "hann",
    scaling: Scaling = "density",
    detrend: Detrend = "constant",
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Compute the power of each frequency over windows of time, of each channel.

    Values are those of ``scipy.signal.spectrogram`` on the whole.

    .. marble::

        --abcd--efgh-------------|
        [ spectrogram(4 samples) ]
        -----f------f------------|     one frame per window, at the time of its middle

    Parameters
    ----------
    duration
        Length of a window [s], rounded to samples of the nominal rate, at least two; frequencies
        are ``1 / duration`` apart.
    every
        Distance of windows [s], rounded to samples, at least one. Default: half of ``duration``.
    window
        Window function as ``scipy.signal.get_window`` takes it: a name, e.g. ``"boxcar"``; a name
        with parameters, e.g. ``("tukey", 0.25)``; or one weight for each sample.
    scaling
        ``"density"``: power per frequency, in V²/Hz for data in V; ``"spectrum"``: power, V²;
        ``"magnitude"``: its square root, V, so that a sine of amplitude 1 on a frequency of the
        frame has ``sqrt(0.5)``, its rms.
    detrend
        ``"constant"``: subtract the mean of each window first; ``"none"``: do not.

    Returns
    -------
    operator
        Chunks with a frame ``(frequencies, *shape)`` for each window that begins at a sample whose
        number since the session began is a multiple of the samples of ``every``, however the stream
        is cut and wherever it begins; its own number is the quotient. Its time is that of the
        sample in the middle of the window (``width // 2``). ``info.extra["frequencies"]`` has the
        frequencies [Hz]; of a stream with one value a sample, ``info.channels`` names them too.
        Windows do not reach over gaps: the gap of frames is as much wider, and counts the missing
        frames. ``info.rate`` is the rate of the frames. Single precision stays, integers become
        double.

    Raises
    ------
    ParameterError
        If a duration is not positive, the window is unknown, or an option is not as above;
        downstream, if ``duration`` is less than two samples, or not as long as the weights.
    MissingExtraError
        Without scipy (extra ``signal``).
    ChunkError
        Downstream, for streams without a rate, and samples that are not real numbers.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> tone = np.sin(2 * np.pi * 50 * np.arange(400) / 1000)
    >>> whole = Chunk.regular(tone, StreamInfo("x", 1000.0, (), np.float64, "V"), start=0)
    >>> (frames,) = rx.of(whole).pipe(spectrogram(0.1, scaling="spectrum")).run(),
    >>> frames.info.shape, frames.info.unit, frames.info.channels[5]
    ((51,), 'V²', '50 Hz')
    """
    span = to_span(duration, "duration")
    step = span // 2 if every is None else to_span(every, "every")
    check_choice(scaling, Scaling, "scaling")
    check_choice(detrend, Detrend, "detrend")
    shape = window if isinstance(window, str | tuple) else _weights(window)
    signal = load_scipy()
    if isinstance(shape, str | tuple):
        try:
            signal.get_window(shape, 8)
        except (ValueError, TypeError, IndexError) as error:
            msg = (
                f"spectrogram: window={shown(window)} is none that scipy.signal.get_window "
                f"has: {error}"
            )
            raise ParameterError(msg) from error
    return lift_in_order(
        lambda: FramedStep(lambda info: _frame_spec(info, span, step, shape, scaling, detrend))
    )


def _weights(window: Any) -> NDArray[np.float64]:
    """Return a user's weights as an array ``(n,)``."""
    try:
        weights = np.array(window, np.float64)
    except (TypeError, ValueError, OverflowError):
        weights = np.empty(0)
    if weights.ndim != 1 or len(weights) < 2 or not np.isfinite(weights).all():
        msg = (
            "spectrogram: window must be a name or at least two finite weights, not "
            f"{shown(window)}"
        )
        raise ParameterError(msg)
    return weights


def _frame_spec(
    info: StreamInfo, span: int, step: int, window: Any, scaling: Scaling, detrend: Detrend
) -> FrameSpec:
    """Return the frames for windows of length ``span`` every ``step`` [ns]."""
    check_numbers(info, "spectrogram")
    rate = check_rate(info, "spectrogram")
    if info.dtype.kind == "c":
        msg = f"spectrogram: {info.name} is {info.dtype}; take its parts with ops.map_data first"
        raise ChunkError(msg)
    width, hop = (max(1, round(length * rate / 1e9)) for length in (span, step))
    weights = _window(window, width, info.name, rate)
    out, dtype = result_type(info.dtype)
    power = 1 / (rate * (weights**2).sum()) if scaling == "density" else 1 / weights.sum() ** 2
    scale = np.full(width // 2 + 1, power)
    # each frequency stands for its negative too, but 0 Hz and half the rate have none
    scale[1 : (width + 1) // 2] *= 2

    def compute(data: NDArray[Any], _number: int) -> NDArray[Any]:
        windows = sliding_window_view(data, width, axis=0)[::hop]
        # in this order in memory every window is summed in the same way, however many there are
        x = np.array(windows, dtype, order="C")
        # an infinite sample makes its frame NaN, and is no warning
        with np.errstate(invalid="ignore", over="ignore"):
            if detrend == "constant":
                x -= x.mean(axis=-1, keepdims=True)
            x *= weights
            spectrum = np.fft.rfft(x)
            powers = (spectrum.real**2 + spectrum.imag**2) * scale
            if scaling == "magnitude":
                powers = np.sqrt(powers)
        return np.ascontiguousarray(np.moveaxis(powers, -1, 1), out)

    return FrameSpec(
        _frames_info(info, out, width, hop, scaling), lambda: compute, width, hop,
        middle=width // 2, anchor=width // 2,
    )  # fmt: skip


def _window(window: Any, width: int, name: str, rate: float) -> NDArray[np.float64]:
    """Return the weights ``(width,)`` of a window."""
    if width < 2:
        msg = f"spectrogram: duration is less than two samples of {name} at {rate:g} Hz; use more"
        raise ParameterError(msg)
    if isinstance(window, str | tuple):
        return np.asarray(load_scipy().get_window(window, width))
    if len(window) != width:
        msg = (
            f"spectrogram: window has {len(window)} weights, the duration is {width} samples of "
            f"{name} at {rate:g} Hz; use as many"
        )
        raise ParameterError(msg)
    return np.asarray(window)


def _frames_info(
    info: StreamInfo, dtype: np.dtype[Any], width: int, hop: int, scaling: Scaling
) -> StreamInfo:
    """Return the description of the frames of a stream."""
    rate = check_rate(info, "spectrogram")
    frequencies = np.fft.rfftfreq(width, 1 / rate)
    frequencies.flags.writeable = False
    unit = info.unit
    if unit and scaling != "magnitude":
        unit = f"{unit}²/Hz" if scaling == "density" else f"{unit}²"
    channels = info.channels if info.shape else tuple(f"{f:.6g} Hz" for f in frequencies)
    return replace(
        info, rate=rate / hop, shape=(len(frequencies), *info.shape), dtype=dtype, unit=unit,
        channels=channels, extra={**info.extra, "frequencies": frequencies},
    )  # fmt: skip
