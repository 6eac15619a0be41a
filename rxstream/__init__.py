"""Live device streams as rewindable Observables.

>>> import rxstream
>>> from rxstream import operators as ops

`rxstream.open` opens a device by its name. It is left out of ``__all__``: a star import must not
hide the built-in function.
"""

from typing import TYPE_CHECKING

from rxstream import errors
from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.device import Device
from rxstream.acquisition.failures import failed
from rxstream.acquisition.faults import Fault
from rxstream.acquisition.polling import poll
from rxstream.acquisition.signals import close_on_signals
from rxstream.acquisition.source import Source
from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip, Missing
from rxstream.data.clock import format_time, host_time
from rxstream.data.concat import concat
from rxstream.data.flow import Flow
from rxstream.data.gap import Gap
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.registry.opening import open as open  # noqa: A004 - for users to write rxstream.open
from rxstream.steps.lift import Step, lift
from rxstream.steps.multi import MultiStep, lift_multi
from rxstream.steps.stream import Stream
from rxstream.steps.watermark import Watermarks
from rxstream.window.subject import TimeWindowSubject

if TYPE_CHECKING:
    __version__: str

__all__ = [
    "Backoff",
    "Chunk",
    "Clip",
    "Device",
    "DeviceCounter",
    "Fault",
    "Flow",
    "Gap",
    "Missing",
    "MultiStep",
    "Reading",
    "Source",
    "Step",
    "Stream",
    "StreamInfo",
    "TimeWindowSubject",
    "Watermarks",
    "close_on_signals",
    "concat",
    "errors",
    "failed",
    "format_time",
    "host_time",
    "lift",
    "lift_multi",
    "poll",
]


def __getattr__(name: str) -> str:
    """Read ``__version__`` from the installed package, when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("rxstream")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
