"""`open()` in one thread, `close()` and `open()` in others open the hardware twice at a time.

Right: never more than one opening of the source.
"""

import sys
import threading

from fault_programs import Numbered, expect, pause

from rxstream import Device

sys.setswitchinterval(1e-6)


class SlowToClose(Numbered):
    def open(self, emit, fail):
        close = super().open(emit, fail)

        def slow():
            pause(0.002)
            close()

        return slow


source, over = SlowToClose(period=0.001), threading.Event()
device = Device(source)


def repeat(do):
    while not over.is_set() and source.most_openings < 2:
        do()


threads = [threading.Thread(target=repeat, args=(device.open,), daemon=True) for _ in range(3)]
threads += [
    threading.Thread(target=repeat, args=(lambda: device.close(0),), daemon=True) for _ in range(2)
]
for thread in threads:
    thread.start()
threads[0].join(6)
over.set()
expect(source.most_openings == 1, f"{source.most_openings} openings at once")
