"""Devices as text, as it is written on a command line."""

import datetime as dt

import numpy as np
import pytest

from rxstream import DeviceCounter
from rxstream.devices.can import Can
from rxstream.devices.simulated import Delay
from rxstream.errors import DeviceNotFoundError, ParameterError
from rxstream.registry.spec import make_source, to_spec


@pytest.mark.parametrize(
    ("spec", "option", "value"),
    [
        ("simulated", "rate", 48_000.0),
        ("simulated:rate=8e3", "rate", 8000.0),
        ("simulated:shape=480x640x3,signal=video,dtype=uint8", "shape", (480, 640, 3)),
        ("simulated:shape=2", "shape", (2,)),
        ("simulated:shape=(2,),channels=left+right", "channels", ("left", "right")),
        ("simulated:dtype=int16", "dtype", np.dtype("int16")),
        ("simulated:irregular=yes", "irregular", True),
        ("simulated:irregular=off", "irregular", False),
        ("simulated:duration=none", "duration", None),
        ("simulated:stamps=host", "stamps", "host"),
        ("simulated:delay=(0.01,0.002)", "delay", Delay(0.01, 0.002)),
        ("simulated:counter=32", "counter", DeviceCounter(32)),
        ("simulated: seed=7 , ppm=5", "seed", 7),
        ("audio:device=3", "device", 3),
        ("audio:device=USB mic, left", "device", "USB mic, left"),
        ("can:channel=can0,interface=socketcan", "channel", "can0"),
        ("can:channel=0,interface=pcan", "channel", 0),
        ("can:channel=x,filters=0x100+0x7ff", "filters", (0x100, 0x7FF)),
        ("can:channel=x,options={'a': 1}", "options", (("a", 1),)),
        ("camera:source=0", "source", 0),
        ("camera:source=rtsp://host:554/x,y?a=b,rate=25", "source", "rtsp://host:554/x,y?a=b"),
        (
            "camera:source=a.mp4,start=2026-01-31T12:00:00Z",
            "start",
            dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC),
        ),
    ],
)
def test_options_are_read_by_their_types(spec: str, option: str, value: object) -> None:
    found = getattr(make_source(spec), option)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("simulated:rte=3", ["no option 'rte'", "did you mean rate?", "irregular"]),
        ("simulated:xyzzy=3", ["no option 'xyzzy'", "It has rate"]),
        ("simulated:rate=fast", ["rate", "a number", "'fast'"]),
        ("simulated:seed=1.5", ["seed", "a whole number", "'1.5'"]),
        ("simulated:irregular=maybe", ["irregular", "yes or no", "'maybe'"]),
        ("simulated:counter=abc", ["counter", "DeviceCounter or none", "'abc'"]),
        ("simulated:rate=-1", ["simulated", "rate", "-1.0"]),
        ("simulated:rate", ["'rate' is no option", "simulated:option=value"]),
        ("simulated:signal=sinus", ["'sinus'", "sine"]),
        ("audio:dtype=float", ["dtype", "int16", "'float'"]),
        ("simulated:shape=(2", ["shape", "'(2'"]),
        ("serial", ["serial needs port=…", "rxstream devices serial"]),
        ("modbus:unit=1", ["modbus needs address=…,items=…"]),
        ("can:bitrate=x,interface=pcan", ["bitrate", "a whole number or none", "'x'"]),
    ],
)
def test_wrong_options_are_explained(spec: str, words: list[str]) -> None:
    with pytest.raises(ParameterError) as caught:
        make_source(spec)
    for word in words:
        assert word in str(caught.value)


def test_an_unknown_device_is_explained() -> None:
    with pytest.raises(DeviceNotFoundError, match=r"'telescope'; there are audio, camera, can"):
        make_source("telescope:zoom=3")


def test_a_spec_is_read_back() -> None:
    options = {"interface": "socketcan", "channel": "can0", "bitrate": 500_000}
    assert make_source(to_spec("can", options)) == Can(**options)
    assert to_spec("simulated", {}) == "simulated"
