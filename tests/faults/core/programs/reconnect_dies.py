"""A lost device whose driver raises while it is closed is never opened again.

Its supervisor dies; the state stays "lost" without a fault, an error or an end. The same for an
asyncio.CancelledError in a try to open. Right: it is opened again, or the stream ends by an error.
"""

import asyncio
import threading

from fault_programs import Numbered, eventually, expect

from rxstream import Device
from rxstream.errors import DeviceLostError

threading.excepthook = lambda _: None


class Unplugged(Numbered):
    def __init__(self, what):
        super().__init__()
        self.what, self.count_open = what, 0

    def open(self, emit, fail):
        self.count_open += 1
        if self.what == "open" and self.count_open == 2:
            raise asyncio.CancelledError
        stop = super().open(emit, fail)
        if self.count_open == 1:
            threading.Timer(0.1, lambda: fail(DeviceLostError("pulled out"))).start()

        def close():
            stop()
            if self.what == "close" and self.count_open == 1:
                msg = "cannot close: no such device"
                raise OSError(msg)

        return close


seen = {}
for what in ("close", "open"):
    source, errors = Unplugged(what), []
    device = Device(source, reconnect=0.05)
    device.subscribe(lambda _: None, errors.append)
    device.open()
    eventually(lambda s=source: s.count_open > 1, 1.0)
    again = eventually(lambda d=device: d.state == "open", 1.0) and source.count_open > 1
    seen[f"{what} raises"] = again or bool(errors)
expect(all(seen.values()), f"open again, or an error: {seen}")
