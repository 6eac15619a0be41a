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
    ├── ShortHistoryError                  the bytes allowed are too few for the history
    ├── SinkError (OSError)                a sink cannot write its file
    └── DeviceError (OSError)              an error of a device or its driver
        ├── DeviceNotFoundError            no such device, file or address
        ├── DeviceBusyError                somebody else holds it
        ├── DeviceLostError                it was there and is gone (unplugged, killed, cut)
        ├── DeviceClosedError              asked for data while not open
        ├── OverrunError                   samples were lost, the device goes on
        └── StampError                     a stamp cannot be true and was set aside

``EndOfStream`` is no error: a source passes it to ``fail`` when there is nothing more to come.
Nor is a `rxstream.timing.ClockEvent`, which comes on ``Device.faults`` beside errors that a device
survived.
"""

from functools import partial
from typing import Literal

from rxstream.printable import guarded, printable

__all__ = [
    "ChunkError",
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
    "SinkError",
    "SubscriberError",
]

# Longest text of an error [characters]; a list of all options has some hundreds. A longer one holds
# a value without end, of which so much is shown.
_MAX_TEXT, _CUT_TEXT = 1000, 500


def _short(text: str) -> str:
    return printable(text, None if len(text) <= _MAX_TEXT else _CUT_TEXT)


class RxStreamError(Exception):
    """Base of all errors of rxstream.

    Its text may hold what a driver, a file or the name of a device says: it is printed without
    control characters, and of a very long one the middle is left out.
    """

    def __str__(self) -> str:
        return _short(guarded(super().__str__))

    def __repr__(self) -> str:
        return _short(guarded(super().__repr__))


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


class SinkError(RxStreamError, OSError):
    """A sink cannot write its file: the text has path, cause and remedy; ``errno`` the cause."""

    def __str__(self) -> str:
        # an OSError with a file name would show that and its number alone
        return _short(guarded(partial(BaseException.__str__, self)))


class ShortHistoryError(RxStreamError):
    """A window holds less time than its history: the bytes allowed are used up before."""


class DeviceError(RxStreamError, OSError):
    """An error of a device or its driver."""


class DeviceNotFoundError(DeviceError):
    """There is no such device, file or address."""


class DeviceBusyError(DeviceError):
    """The device is held by somebody else."""


class DeviceLostError(DeviceError):
    """The device was there and is gone: unplugged, killed, or its connection cut."""


class DeviceClosedError(DeviceError):
    """Data was asked of a device that is not open."""


class OverrunError(DeviceError):
    """Samples were lost; the device goes on.

    Attributes
    ----------
    reason
        Reason of the gap that follows: ``"overrun"``, or ``"dropped"`` where the device has not
        given them, however soon it was read.
    """

    def __init__(self, *args: object, reason: Literal["overrun", "dropped"] = "overrun") -> None:
        super().__init__(*args)
        self.reason = reason


class StampError(DeviceError):
    """A stamp cannot be true and was set aside; its samples are kept, the device goes on."""


class EndOfStream(Exception):  # noqa: N818 - like StopIteration, it is no error
    """End of a file or stream; a source passes it to ``fail``."""
