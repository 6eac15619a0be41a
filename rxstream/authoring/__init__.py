"""What an author of a device needs, in one import.

>>> from rxstream.authoring import source
>>> @source(every=1.0, unit="s")
... def Uptime():
...     "Seconds since the computer was started."
...     with open("/proc/uptime") as file:
...         return float(file.read().split()[0])
>>> Uptime().info.name
'uptime'
"""

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail, Source
from rxstream.authoring.decorator import AuthoredSource, EmitValue, source
from rxstream.authoring.functions import source_from_functions
from rxstream.data.clock import host_time, now_ns
from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    MissingExtraError,
    OverrunError,
    ParameterError,
)

__all__ = [
    "AuthoredSource",
    "Close",
    "DeviceBusyError",
    "DeviceCounter",
    "DeviceError",
    "DeviceInfo",
    "DeviceLostError",
    "DeviceNotFoundError",
    "Emit",
    "EmitValue",
    "EndOfStream",
    "Fail",
    "MissingExtraError",
    "OverrunError",
    "ParameterError",
    "Reading",
    "Source",
    "StreamInfo",
    "host_time",
    "now_ns",
    "poll",
    "source",
    "source_from_functions",
]
