"""simulated: a device that knows the truth (needs no hardware and no extra)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import Duration, to_ns, to_span
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo, is_rate
from rxstream.devices.simulated.delivery import Truth
from rxstream.devices.simulated.live import PlugState
from rxstream.devices.simulated.options import Delay, Drops, Stalls, block_of, require
from rxstream.devices.simulated.signals import Signal, can_frames, typed_keys
from rxstream.devices.simulated.simulation import Simulation
from rxstream.errors import ParameterError
from rxstream.formats.can import CAN_DTYPE
from rxstream.formats.keys import KEY_DTYPE
from rxstream.printable import shown
from rxstream.validation import (
    check_choice,
    check_flag,
    checked_dtype,
    checked_shape,
    is_number,
    is_positive,
    is_whole,
)

_Stamps: TypeAlias = Literal["own", "host"]
# More samples in a reading would take minutes of a sound card.
_MAX_BLOCK = 1 << 24

__all__ = ["Simulated"]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated device of any shape, dtype and rate.

    It has the faults of real ones: its clock is wrong and drifts, blocks come late and in bursts,
    or never, and the plug is pulled. And it knows the `truth` of all that. The value of sample
    ``k`` depends on the seed and ``k`` alone, in whatever blocks it is read. A block arrives at
    the true time of its last sample, plus the delay.

    Attributes
    ----------
    rate
        Nominal samples, or mean events, per second [Hz].
    shape, dtype
        Shape and dtype of one sample; the dtype may be structured.
    signal
        ``"sine"``, ``"noise"``, ``"ramp"`` (sample ``k`` is ``k``), ``"knocks"`` (one a second),
        ``"video"``, ``"zeros"``, or a function that takes sample numbers int64 ``(n,)`` and
        returns ``(n, *shape)``.
    blocksize
        Samples in a reading; None: 10 ms of them. Of events, the largest number that may arrive
        in one reading; None: 256.
    frequency
        Frequency of tones [Hz].
    irregular
        Events at random (a Poisson process) instead of samples at equal distances.
    name, unit, channels
        As in `StreamInfo`.
    seed
        Seed of everything random.
    ppm, drift, wander
        Error of its clock, positive if it is fast [ppm], its change [ppm/h], and the amplitude of
        its swing over 20 minutes [ppm].
    delay, stalls, drops
        Delays and losses of blocks; see `Delay`, `Stalls`, `Drops`.
    unplugs
        Times at which the plug is pulled, and for how long: pairs, since the opening [s]. `unplug`
        pulls it now.
    duration
        Length of the stream [s], the last block as short as it needs: every sample before its end
        comes, with its delay, perhaps after it. None: endless.
    counter
        Counter of samples or ticks that comes with each reading, from 0 at power-on.
    stamps
        `Reading.device_time` of readings: None; ``"own"``, stamps of its own clock with its error,
        from 0 at power-on; ``"host"``, true stamps of the host clock, as a kernel makes them.
    resolution
        Resolution of the stamps, which are rounded down to it [s].

    Examples
    --------
    >>> import numpy as np
    >>> device = Simulated(rate=1000.0, signal="ramp", dtype=np.int64, ppm=100.0)
    >>> first, second = device.readings(0.025)
    >>> second.data.tolist()
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
    >>> device.truth.time([0, 10_000]).tolist()  # after 10 s, its clock is 1 ms ahead
    [0, 9999000100]
    """

    rate: float = 48_000.0
    shape: tuple[int, ...] = ()
    dtype: DTypeLike = np.float32
    signal: Signal = "sine"
    blocksize: int | None = None
    frequency: float = 440.0
    irregular: bool = False
    name: str = "simulated"
    unit: str = ""
    channels: tuple[str, ...] = ()
    seed: int = 0
    ppm: float = 0.0
    drift: float = 0.0
    wander: float = 0.0
    delay: Delay = Delay()  # noqa: RUF009 - it is frozen
    stalls: Stalls | None = None
    drops: Drops | None = None
    unplugs: tuple[tuple[float, float], ...] = ()
    duration: float | None = None
    counter: DeviceCounter | None = None
    stamps: _Stamps | None = None
    resolution: float = 1e-6
    _plug: PlugState = field(default_factory=PlugState, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        set_ = partial(object.__setattr__, self)
        set_("shape", checked_shape(self.shape, "shape", 1))
        set_("dtype", checked_dtype(self.dtype, "dtype"))
        set_("channels", tuple(self.channels))
        set_("unplugs", tuple(map(tuple, self.unplugs)))
        set_("seed", int(self.seed))
        # a function is called at opening only: it is the user's
        if not callable(self.signal):
            self.data(np.arange(1))

    def _check(self) -> None:
        require("rate", self.rate, zero=False, remedy="for events at random use irregular=True")
        if not is_rate(self.rate):
            msg = f"rate must be from one sample a year to 1e9 Hz, not {shown(self.rate)}"
            raise ParameterError(msg)
        if not isinstance(self.signal, str) and not callable(self.signal):
            msg = f"signal must be a name or a function of numbers, not {shown(self.signal)}"
            raise ParameterError(msg)
        require("frequency", self.frequency)
        require("resolution", self.resolution, zero=False)
        if self.stamps is not None:
            check_choice(self.stamps, _Stamps, "stamps")
        check_flag(self.irregular, "irregular")
        if self.duration is not None:
            require("duration", self.duration, zero=False)
        size = self.blocksize
        if size is not None and not (is_whole(size, 1) and size < _MAX_BLOCK):
            msg = f"blocksize must be a whole number >= 1, not {shown(size)}"
            raise ParameterError(msg)
        shape = checked_shape(self.shape, "shape", 1)
        if not isinstance(self.channels, list | tuple):
            msg = f"channels must be labels, e.g. ('left', 'right'), not {shown(self.channels)}"
            raise ParameterError(msg)
        if self.channels and (not shape or len(self.channels) != shape[-1]):
            msg = f"{len(self.channels)} channel labels do not fit the shape {shown(self.shape)}"
            raise ParameterError(msg)
        for name, most in (("ppm", 1e5), ("drift", 1e3), ("wander", 1e3)):
            value = getattr(self, name)
            if not is_number(value) or abs(value) > most:
                msg = f"{name} must be within -{most:g} to {most:g}, not {shown(value)}"
                raise ParameterError(msg)
        if not is_whole(self.seed, 0):
            msg = f"seed must be an integer >= 0, not {shown(self.seed)}"
            raise ParameterError(msg)
        self._check_faults()

    def _check_faults(self) -> None:
        for name, kind in (("delay", Delay), ("stalls", Stalls), ("drops", Drops)):
            value = getattr(self, name)
            if not isinstance(value, kind) and (value is not None or kind is Delay):
                msg = f"{name} must be {kind.__name__}(...), not {shown(value)}"
                raise ParameterError(msg)
        before = 0.0
        for pair in self.unplugs if isinstance(self.unplugs, list | tuple) else [None]:
            fits = isinstance(pair, list | tuple) and len(pair) == 2 and all(map(is_positive, pair))
            if not fits or not pair[0] > before:
                msg = (
                    "unplugs must be pairs (at, for how long) of seconds > 0, one after the "
                    f"other, not {shown(self.unplugs)}"
                )
                raise ParameterError(msg)
            before = pair[0] + pair[1]

    # -- presets ------------------------------------------------------------------------------

    @classmethod
    def microphone(cls, **options: Any) -> Self:
        """Return a sound card, 48 kHz mono float32, that hears a knock every second.

        Parameters
        ----------
        options
            Options of `Simulated` that replace those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "microphone", "shape": (1,), "unit": "FS", "signal": "knocks",
            "ppm": 37.0, "wander": 1.0, "delay": Delay(0.0013, 0.0005),
            "stalls": Stalls(10.0, 0.02),
        }  # fmt: skip
        return cls(**preset | options)

    @classmethod
    def camera(cls, *, size: tuple[int, int] = (320, 240), **options: Any) -> Self:
        """Return a camera, 30 frames a second, that sees moving stripes.

        Each frame ``(height, width, 3)`` uint8 in the order blue, green, red shows its number;
        `frame_number` reads it.

        Parameters
        ----------
        size
            Width and height of the frames [pixels], as of `Camera`.
        options
            Options of `Simulated` that replace those of the preset.
        """
        try:
            width, height = checked_shape(size, "size", 1)
        except ValueError as error:
            msg = f"size must be width and height in pixels, e.g. (320, 240), not {shown(size)}"
            raise ParameterError(msg) from error
        preset: dict[str, Any] = {
            "name": "camera", "rate": 30.0, "shape": (height, width, 3), "dtype": np.uint8,
            "signal": "video", "channels": ("B", "G", "R"), "ppm": -22.0, "wander": 1.0,
            "delay": Delay(0.015, 0.009, "lognormal"),
        }  # fmt: skip
        return cls(**preset | options)

    @classmethod
    def can(cls, **options: Any) -> Self:
        """Return the CAN bus of a small car: 500 messages a second, polled every 10 ms.

        The messages are those of `can_frames`, of the dtype of `Can`, with stamps of the kernel.

        Parameters
        ----------
        options
            Options of `Simulated` that replace those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "can", "rate": 500.0, "irregular": True, "dtype": CAN_DTYPE,
            "signal": can_frames, "stamps": "host",
            "delay": Delay(0.0002, 0.00005, poll=0.01),
        }  # fmt: skip
        return cls(**preset | options)

    @classmethod
    def keyboard(cls, **options: Any) -> Self:
        """Return a keyboard that types a sentence: events of `KEY_DTYPE`.

        Parameters
        ----------
        options
            Options of `Simulated` that replace those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "keyboard", "rate": 8.0, "irregular": True, "dtype": KEY_DTYPE,
            "signal": typed_keys, "delay": Delay(0.002, 0.001),
        }  # fmt: skip
        return cls(**preset | options)

    # -- a source -----------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before the first sample."""
        whole = self.drops is not None and self.drops.unit == "blocks" and not self.irregular
        return StreamInfo(
            self.name,
            None if self.irregular else self.rate,
            self.shape,
            np.dtype(self.dtype),
            self.unit,
            self.channels,
            counter=self.counter,
            quantum=self._block if whole else None,
            device_clock=self.stamps or "own",
            extra={"simulated": True, "seed": self.seed},
        )

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Start it in a thread of its own, in real time.

        After an unplug, a new opening goes on with the samples that are due by then; after a plain
        close it begins anew, with sample 0.

        Raises
        ------
        DeviceNotFoundError
            While it is unplugged.
        DeviceBusyError
            If it is open.
        ParameterError
            If the signal function returns anything but ``(n, *shape)`` of ``dtype``.
        """
        self.data(np.arange(1))
        simulation = Simulation(self)
        return self._plug.open(simulation.schedule(stamped=False), simulation.truth, emit, fail)

    # -- beyond a source ----------------------------------------------------------------------

    @property
    def truth(self) -> Truth:
        """True times and losses since the last start, by `open` or by `readings`.

        Before the first start, those of a start at host time 0.
        """
        if self._plug.truth is None:
            self._plug.truth = Simulation(self).truth(0)
        return self._plug.truth

    def unplug(self) -> None:
        """Pull the plug now: the open device is lost, and cannot be opened until `replug`."""
        self._plug.pull()

    def replug(self) -> None:
        """Plug it in again."""
        self._plug.push()

    @property
    def _block(self) -> int:
        return block_of(self.blocksize, self.rate, irregular=self.irregular)

    def data(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Return samples ``(n, *shape)`` by their numbers int64 ``(n,)``.

        Raises
        ------
        ParameterError
            If the signal function returns anything but ``(n, *shape)`` of ``dtype``.
        """
        numbers = np.asarray(index)
        if numbers.ndim != 1 or (numbers.dtype.kind not in "iu" and numbers.size):
            msg = f"data: index must be whole numbers (n,), not {shown(index)}"
            raise ParameterError(msg)
        return Simulation(self).values(numbers.astype(np.int64))

    def readings(self, seconds: Duration | None = None, *, start: int = 0) -> Iterator[Reading]:
        """Return readings in virtual time: those of `open`, but without waiting.

        Each reading has its exact `Reading.arrival`. There are none while the plug is pulled;
        afterwards counter and stamps begin at 0 again, and `truth` has the samples as lost.

        Parameters
        ----------
        seconds
            Length of the simulation [s]; None: `duration`, or endless.
        start
            True host time of sample 0 [ns].

        Examples
        --------
        >>> hour = Simulated(signal="zeros", blocksize=48_000).readings(3600)
        >>> sum(len(reading.data) for reading in hour) / 48_000
        3599.0
        """
        until = None if seconds is None else to_span(seconds, "seconds")
        start = to_ns(start)
        simulation = Simulation(self)
        truth = self._plug.truth = simulation.truth(start)
        return simulation.readings(truth, until)
