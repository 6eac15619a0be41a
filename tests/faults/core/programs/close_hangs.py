"""`close()` waits without limit for a driver or a sink that hangs.

While a lost device is being opened again and `open` is slow; when the driver's `read` hangs; in
``with sink, device`` when the sink's own write hangs. Right: a bound, as Audio and Camera have it.
"""

import threading

from fault_programs import Numbered, expect, pause

from rxstream import Device, StreamInfo, poll, sinks
from rxstream.errors import DeviceLostError

FOR_EVER, BOUND = 1e6, 10.0  # [s]; the latter is more than drain, the longest wait asked for


class SlowToReopen(Numbered):
    """E.g. a network camera that does not answer."""

    opened = False

    def open(self, emit, fail):
        if self.opened:
            pause(FOR_EVER)
        self.opened = True
        threading.Timer(0.05, lambda: fail(DeviceLostError("lost"))).start()
        return super().open(emit, fail)


class HangingRead:
    live = True
    info = StreamInfo("hanging", 10.0)

    def open(self, emit, fail):
        return poll(lambda: pause(FOR_EVER), emit, fail, name="hanging")


reopened = Device(SlowToReopen(), reconnect=0.02).open()
hanging = Device(HangingRead()).open()
device, sink = Device(Numbered()), sinks.callback(lambda _: pause(FOR_EVER))
device.subscribe(sink)
pause(0.3)


def use_sink():
    with sink, device:
        pause(0.2)


threads = {
    "opening again": threading.Thread(target=reopened.close, daemon=True),
    "reading": threading.Thread(target=hanging.close, daemon=True),
    "writing": threading.Thread(target=use_sink, daemon=True),
}
for thread in threads.values():
    thread.start()
threads["writing"].join(BOUND)
hangs = [name for name, thread in threads.items() if thread.is_alive()]
expect(not hangs, f"closing hangs while {hangs}")
