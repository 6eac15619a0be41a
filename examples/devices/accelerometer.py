"""An accelerometer on a serial line: packets with a counter, found again after garbage.

A packet has 101 bytes: AA 55, the number of its last sample (16 bits), 16 samples of x, y and z
(each 16 bits), and a byte that makes the sum of all a multiple of 256; least byte first.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rxstream.authoring import DeviceCounter, Reading, source


@source(dtype="i2", shape=(3,), rate=lambda options: options.rate, counter=DeviceCounter(16),
        unit="mg", channels=("x", "y", "z"), requires="pyserial")  # fmt: skip
def Accelerometer(port: str = "/dev/ttyUSB0", rate: float = 1600.0) -> Iterator[Any]:
    """Acceleration on three axes [mg]."""
    import serial

    with serial.Serial(port, timeout=0.1, exclusive=True) as line:
        yield
        buffer = b""
        while True:
            buffer += line.read(max(101 - len(buffer), line.in_waiting))
            buffer = buffer[buffer.find(b"\xaa\x55") :]  # else its last byte may begin a packet
            if len(buffer) < 101:
                yield
            elif sum(buffer[:101]) % 256:
                buffer = buffer[1:]
            else:
                data = np.frombuffer(buffer[4:100], "<i2").reshape(16, 3)
                yield Reading(data, counter=int.from_bytes(buffer[2:4], "little"))
                buffer = buffer[101:]
