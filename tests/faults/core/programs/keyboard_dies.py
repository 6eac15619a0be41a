r"""Bytes on the terminal end the keyboard: ``\x1b[[F``, and ``\x1b[`` with 5000 digits.

Right: an unknown sequence is its own name, and the stream goes on.
"""

import os
import pty

from fault_programs import eventually, expect, pause

from rxstream import Device
from rxstream.devices.keyboard import Keyboard

seen = {}
for data in (b"abc", b"a\x1b[[Fb", b"a\x1b[" + b"1" * 5000 + b"~b"):
    ours, theirs = pty.openpty()
    device, keys, errors = Device(Keyboard(tty=theirs)), [], []
    device.subscribe(lambda chunk, k=keys: k.extend(chunk.data.tolist()), errors.append)
    device.open()
    for k in range(0, len(data), 1000):
        os.write(ours, data[k : k + 1000])
        pause(0.02)
    pause(0.2)
    if not errors:
        os.write(ours, b"z")
    last = eventually(lambda k=keys: bool(k) and "z" in str(k[-1]), 1.0)
    seen[data[:8]] = last and not errors and device.state == "open"
    device.close(0)
expect(all(seen.values()), f"goes on after {seen}")
