"""Every error that rxstream raises on purpose, as a tree.

::

    RxStreamError
    ├── ParameterError (ValueError)        an argument is wrong; raised where you wrote it
    ├── ChunkError (ValueError)            chunks that do not fit together
    ├── NotRewindableError (TypeError)     rewind on something without a past
    ├── MissingExtraError (ImportError)    a driver is not installed; names the extra
    ├── FormatError (ValueError)           a file or message is not what it should be
    ├── LagError                           a subscriber with policy "error" fell out of the window
    ├── SubscriberError                    a subscriber raised and was cut off
    ├── ClockEvent                         times that are out already turned out to be wrong
    └── DeviceError (OSError)              what a device says or does
        ├── DeviceNotFoundError            no such device, file or address
        ├── DeviceBusyError                somebody else holds it
        ├── DeviceLostError                it was there and is gone (unplugged, killed, cut)
        ├── DeviceClosedError              asked for data while not open
        └── OverrunError                   samples were lost, the device goes on

``EndOfStream`` is no error: a source passes it to ``fail`` when there is nothing more to come.
"""

__all__ = [
    "ChunkError",
    "ClockEvent",
    "DeviceBusyError",
    "DeviceClosedError",
    "DeviceError",
    "DeviceLostError",
    "DeviceNotFoundError",
    "EndOfStream",
    "FormatError",
    "LagError",
    "MissingExtraError",
    "NotRewindableError",
    "OverrunError",
    "ParameterError",
    "RxStreamError",
    "SubscriberError",
]


class RxStreamError(Exception):
    """Base of all errors of rxstream."""


class ParameterError(RxStreamError, ValueError):
    """An argument has a value that cannot work."""


class ChunkError(RxStreamError, ValueError):
    """Chunks that do not fit together, or data that does not fit its stream."""


class NotRewindableError(RxStreamError, TypeError):
    """``rewind`` or ``on_lag`` was put after something that keeps no past."""


class MissingExtraError(RxStreamError, ImportError):
    """A driver package is not installed; the message names the extra that has it."""


class FormatError(RxStreamError, ValueError):
    """A file, message or database is not of the kind it should be."""


class LagError(RxStreamError):
    """A subscriber with the policy ``"error"`` fell out of the window."""


class SubscriberError(RxStreamError):
    """A subscriber raised and was cut off; its exception is the ``__cause__``."""


class ClockEvent(RxStreamError):  # noqa: N818 - told, not raised
    """What the clock model found out too late to put it into the chunks; told on ``faults``.

    Attributes
    ----------
    kind
        ``gap``: samples were lost; ``overlap``: an earlier gap was none, or samples came twice
        (samples that are out keep their numbers); ``latency``: the delay changed for good;
        ``restart``: the device began anew.
    first, last
        Samples whose times are out already: from index ``first`` to before ``last``.
    samples
        How many were lost (or doubled: negative); None if unknown.
    correction
        What must be added to those times [ns]; 0 if they are right.
    delay
        By how much the delay rose, of a change of ``latency`` [ns]. If it fell, times before may
        all have been late by that: the least delay is better known now.
    """

    def __init__(
        self, name: str, kind: str, first: int, last: int, samples: int | None, correction: int,
        delay: int = 0,
    ) -> None:  # fmt: skip
        self.kind, self.first, self.last = kind, first, last
        self.samples, self.correction, self.delay = samples, correction, delay
        if delay > 0:
            text = f"its delay rose by {delay / 1e6:.3f} ms at sample {first}; times stay right"
        elif delay < 0:
            text = f"its delay fell by {-delay / 1e6:.3f} ms at sample {last}; "
            text += "times before may be late by that"
        else:
            count = "" if samples is None else f" of {abs(samples)} samples"
            text = f"{kind}{count} found at sample {last}"
            if kind == "overlap":
                text += ": they came twice, or an earlier gap was none"
            if first < last:
                text += f"; the times of samples {first} to {last - 1} are off by "
                text += f"{-correction / 1e6:.3f} ms"
        super().__init__(f"{name}: {text}")


class DeviceError(RxStreamError, OSError):
    """What a device says or does wrong."""


class DeviceNotFoundError(DeviceError):
    """There is no such device, file or address."""


class DeviceBusyError(DeviceError):
    """Somebody else holds the device."""


class DeviceLostError(DeviceError):
    """The device was there and is gone: unplugged, killed, or its connection cut."""


class DeviceClosedError(DeviceError):
    """The device is asked for data while it is not open."""


class OverrunError(DeviceError):
    """Samples were lost; the device goes on."""


class EndOfStream(Exception):  # noqa: N818 - like StopIteration, it is no error
    """Nothing more will come; a source passes it to ``fail`` at the end of a file."""
