"""A program that writes every kind of file until it is killed: its folder is the argument."""

import sys
import threading
import time
from pathlib import Path

import can
import numpy as np
from fault_programs import pause

from rxstream import Device, sinks
from rxstream.devices.can import Can
from rxstream.devices.simulated import Simulated


def main(folder: Path) -> None:
    """Write until killed; a line on stdout says that it has begun."""
    mic = Device(Simulated.microphone())
    cam = Device(
        Simulated(rate=25.0, shape=(48, 64, 3), dtype=np.uint8, signal="video", name="cam")
    )
    slow = Device(Simulated(rate=20.0, shape=(3,), name="slow"))
    bus = Device(Can("killed", interface="virtual"))
    mic.subscribe(sinks.wav(folder / "a.wav", subtype="PCM_16"))
    for name in ("float.wav", "a.flac"):
        mic.subscribe(sinks.wav(folder / name))
    for name in ("v.avi", "v.mkv"):
        cam.subscribe(sinks.video(folder / name))
    slow.subscribe(sinks.csv(folder / "t.csv"))
    for kind in ("blf", "asc", "log", "trc", "db"):
        bus.subscribe(sinks.can_log(folder / f"c.{kind}"))
    for device in (mic, cam, slow, bus):
        device.open()
    threading.Thread(target=send, daemon=True).start()
    print("writing", flush=True)
    pause(60)


def send() -> None:
    """Send 200 messages a second, also when pauses take longer than they should."""
    with can.Bus("killed", interface="virtual") as bus:
        start = time.monotonic()
        for k in range(20_000):
            data = [k & 255, k >> 8 & 255]
            bus.send(can.Message(arbitration_id=k % 2000, data=data, is_extended_id=False))
            pause(max(0.0, start + (k + 1) * 0.005 - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
