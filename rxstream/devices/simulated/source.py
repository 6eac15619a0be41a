"""twin: a simulated device that knows the truth (needs no hardware and no extra)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rxstream.acquisition.device import Close, Emit, Fail
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.devices.simulated.delivery import Lost, Truth
from rxstream.devices.simulated.live import PlugState
from rxstream.devices.simulated.options import Delay, Drops, Stalls, block_of, check
from rxstream.devices.simulated.signals import Signal, can_frames, frame_number, typed_keys
from rxstream.devices.simulated.simulation import Simulation
from rxstream.formats.can import CAN_DTYPE
from rxstream.formats.keys import KEY_DTYPE

__all__ = [
    "Delay",
    "Drops",
    "Lost",
    "Simulated",
    "Stalls",
    "Truth",
    "can_frames",
    "frame_number",
]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated device of any shape, dtype and rate.

    It does what real ones do: its clock is wrong and drifts, its blocks come late and in bursts,
    some never come, and somebody pulls the plug. And it knows the truth of all that. Sample ``k``
    has a value that depends on the seed and ``k`` alone, whenever and in whatever blocks it is
    read. A block arrives at the true time of its last sample, plus the delay.

    Attributes
    ----------
    rate
        Nominal samples, or mean events, per second [Hz].
    shape, dtype
        Of one sample; the dtype may be structured.
    signal
        ``"sine"``, ``"noise"``, ``"ramp"`` (sample ``k`` is ``k``), ``"knocks"`` (one a second),
        ``"video"``, ``"zeros"``, or a function that takes sample numbers int64 ``(n,)`` and
        returns ``(n, *shape)``.
    blocksize
        Samples in a reading; None: 10 ms of them. Events that arrive together come in one, up to
        this many; None: 256.
    frequency
        Of tones [Hz].
    irregular
        Events at random (a Poisson process) instead of samples at equal distances.
    name, unit, channels
        As in `StreamInfo`.
    seed
        Of everything random.
    ppm, drift, wander
        How much too fast its clock is [ppm], how much faster it gets [ppm/h], and how far it
        swings to both sides within 20 minutes [ppm].
    delay, stalls, drops
        How late blocks come and which never come; see `Delay`, `Stalls`, `Drops`.
    unplugs
        When the plug is pulled and for how long: pairs of seconds since the opening [s]. Unlike
        `unplug`, which does it now.
    duration
        The stream ends after this [s]; None: never.
    counter
        A counter of samples or ticks that comes with each reading, from 0 at power-on.
    stamps
        What readings carry as `Reading.device_time`: None; ``"own"``, stamps of its own clock with
        its error, from 0 at power-on; ``"host"``, true stamps of the host clock, as a kernel makes
        them.
    resolution
        To which stamps are rounded down [s].

    Examples
    --------
    >>> import numpy as np
    >>> twin = Simulated(rate=1000.0, signal="ramp", dtype=np.int64, ppm=100.0)
    >>> first, second = twin.readings(0.025)
    >>> second.data.tolist()
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
    >>> twin.truth.time([0, 10_000]).tolist()  # after 10 s, its clock is 1 ms ahead
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
    stamps: Literal["own", "host"] | None = None
    resolution: float = 1e-6
    _plug: PlugState = field(default_factory=PlugState, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        set_ = partial(object.__setattr__, self)
        check(self)
        set_("shape", tuple(int(n) for n in self.shape))
        set_("dtype", np.dtype(self.dtype))
        if not callable(self.signal):  # a function is the user's: it is called at opening
            self.data(np.arange(1))

    # -- presets ------------------------------------------------------------------------------

    @classmethod
    def microphone(cls, **options: Any) -> Self:
        """Return a sound card, 48 kHz mono float32, that hears a knock every second.

        Parameters
        ----------
        options
            Of `Simulated`, instead of those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "microphone", "shape": (1,), "unit": "FS", "signal": "knocks",
            "ppm": 37.0, "wander": 1.0, "delay": Delay(0.0013, 0.0005),
            "stalls": Stalls(10.0, 0.02),
        }  # fmt: skip
        return cls(**preset | options)

    @classmethod
    def camera(cls, *, width: int = 320, height: int = 240, **options: Any) -> Self:
        """Return a camera, 30 pictures a second, that sees moving stripes.

        Each picture ``(height, width, 3)`` uint8 in the order blue, green, red bears its number;
        `frame_number` reads it.

        Parameters
        ----------
        width, height
            Of the picture.
        options
            Of `Simulated`, instead of those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "camera", "rate": 30.0, "shape": (height, width, 3), "dtype": np.uint8,
            "signal": "video", "channels": ("B", "G", "R"), "ppm": -22.0, "wander": 1.0,
            "delay": Delay(0.015, 0.009, "lognormal"),
        }  # fmt: skip
        return cls(**preset | options)

    @classmethod
    def can(cls, **options: Any) -> Self:
        """Return the CAN bus of a small car: 500 frames a second, looked for every 10 ms.

        The frames are those of `can_frames`, of the same dtype as `Can` gives; their stamps are
        the kernel's.

        Parameters
        ----------
        options
            Of `Simulated`, instead of those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "can", "rate": 500.0, "irregular": True, "dtype": CAN_DTYPE,
            "signal": can_frames, "stamps": "host",
            "delay": Delay(0.0002, 0.00005, poll=0.01),
        }  # fmt: skip
        return cls(**preset | options)

    @classmethod
    def keyboard(cls, **options: Any) -> Self:
        """Return a keyboard on which somebody types: events of `KEY_DTYPE`.

        Parameters
        ----------
        options
            Of `Simulated`, instead of those of the preset.
        """
        preset: dict[str, Any] = {
            "name": "keyboard", "rate": 8.0, "irregular": True, "dtype": KEY_DTYPE,
            "signal": typed_keys, "delay": Delay(0.002, 0.001),
        }  # fmt: skip
        return cls(**preset | options)

    # -- a source -----------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo:
        """What is known before the first sample."""
        whole = self.drops is not None and self.drops.unit == "blocks" and not self.irregular
        return StreamInfo(
            self.name,
            None if self.irregular else self.rate,
            self.shape,
            np.dtype(self.dtype),
            self.unit,
            self.channels,
            counter=self.counter,
            quantum=block_of(self) if whole else None,
            device_clock=self.stamps or "own",
            extra={"simulated": True, "seed": self.seed},
        )

    def open(self, emit: Emit, fail: Fail) -> Close:
        """Start it in a thread of its own, in real time.

        After an unplugging, a new opening goes on with the samples that are due by then; after a
        plain close it begins anew, with sample 0.

        Raises
        ------
        DeviceNotFoundError
            While it is unplugged.
        DeviceBusyError
            If it is open.
        ParameterError
            If the signal function returns something that is no ``(n, *shape)`` of ``dtype``.
        """
        self.data(np.arange(1))
        world = Simulation(self)
        return self._plug.open(world.script(stamped=False), world.truth, emit, fail)

    # -- what only a twin can do --------------------------------------------------------------

    @property
    def truth(self) -> Truth:
        """True times and losses of what was started last, by opening or by `readings`.

        Before anything was started, that of a start at host time 0.
        """
        if self._plug.truth is None:
            self._plug.truth = Simulation(self).truth(0)
        return self._plug.truth

    def unplug(self) -> None:
        """Pull the plug now: the open device is lost, and cannot be opened until `replug`."""
        self._plug.pull()

    def replug(self) -> None:
        """PlugState it in again."""
        self._plug.push()

    def data(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Return samples ``(n, *shape)`` by their numbers int64 ``(n,)``.

        Raises
        ------
        ParameterError
            If the signal function returns something that is no ``(n, *shape)`` of ``dtype``.
        """
        return Simulation(self).values(np.asarray(index, np.int64))

    def readings(self, seconds: Duration | None = None, *, start: int = 0) -> Iterator[Reading]:
        """Return what arrives, in virtual time: the same as when opened, but without waiting.

        Each reading has its exact `Reading.arrival`. Where the plug is pulled nothing comes; after
        it, counter and stamps begin at 0 again, and `truth` has the samples as lost.

        Parameters
        ----------
        seconds
            For how long [s]; None: as long as `duration`, or for ever.
        start
            True host time of sample 0 [ns].

        Examples
        --------
        >>> hour = Simulated(signal="zeros", blocksize=48_000).readings(3600)
        >>> sum(len(reading.data) for reading in hour) / 48_000
        3599.0
        """
        until = None if seconds is None else to_span(seconds, "seconds")
        world = Simulation(self)
        truth = self._plug.truth = world.truth(start)
        return world.readings(truth, until)
