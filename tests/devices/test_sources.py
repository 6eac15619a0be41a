"""What all sources have in common: plain options, and the rules of `check_source`."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from pulse import PrivatePulse
from videos import make_video

from rxstream.devices import (
    Audio,
    Camera,
    Can,
    Health,
    Http,
    Keyboard,
    Lsl,
    MediaSound,
    Mqtt,
    Scpi,
    Serial,
    Simulated,
    WebSocket,
)
from rxstream.devices.can import CanFilter
from rxstream.devices.messages import Json
from rxstream.testing import check_source

DBC = 'VERSION ""\nBU_: A\nBO_ 256 M: 8 A\n SG_ Speed : 0|16@1+ (1,0) [0|0] "" A\n'
FILTER = {"can_id": 0x100, "can_mask": 0x700}

SOURCES: list[Any] = [
    lambda: Audio(),
    lambda: Camera(0),
    lambda: Keyboard(),
    lambda: Can("a", interface="virtual", filters=[FILTER], options={"fast": True}),
    lambda: Can("a", decode=DBC, signals=["Speed"]),
    lambda: Can("a", interface="vector", filters=[5, CanFilter(1, 2)], options={"x": [1, 2]}),
    lambda: Camera(0, size=[640, 480], rate=30, pixel_format="MJPG"),  # type: ignore[arg-type]
    lambda: MediaSound("rtsp://a/b", track=1),
    lambda: Health(0.5, "init"),
    lambda: Serial("a"),
    lambda: Serial.accelerometer("a", rate=100.0),
    lambda: Serial.gps("a"),
    lambda: Http("http://a", every=2),
    lambda: Mqtt(("a", "b/#"), qos=1),
    lambda: Lsl("a", type="EEG"),
    lambda: Scpi("GPIB::7", ("A?", "B?"), channels=("a", "b"), setup=("C",)),
    lambda: WebSocket("ws://a", Json([("x", "f8")], time="t")),
    lambda: Simulated.microphone(),
    lambda: Simulated.can(),
    lambda: Simulated.keyboard(),
    lambda: Simulated(shape=[2], channels=["a", "b"], unplugs=[[1, 2]]),  # type: ignore[arg-type,list-item]
]


@pytest.mark.parametrize("make", SOURCES)
def test_options_are_plain_values(make: Any) -> None:
    source = make()
    assert pickle.loads(pickle.dumps(source)) == source == make()
    assert hash(source) == hash(make())
    assert copy.deepcopy(source) == source


def test_a_copy_of_a_simulated_device_has_a_plug_of_its_own() -> None:
    one = Simulated(rate=1000.0)
    other = pickle.loads(pickle.dumps(one))
    one.unplug()
    other.open(lambda _: None, print)()


@pytest.mark.real
def test_sound_keeps_the_rules() -> None:
    with PrivatePulse():
        check_source(
            lambda: Audio(device="pulse", dtype="int16"), absent=lambda: Audio(device="nowhere")
        )


@pytest.mark.real
def test_a_video_keeps_the_rules(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.avi", 30)
    check_source(lambda: Camera(str(path)), absent=lambda: Camera(str(tmp_path / "none.avi")))
