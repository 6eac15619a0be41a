"""A reader of a file that is dropped without `close` holds all other subscribers for ever.

Right: a reader that nobody has any more is forgotten.
"""

import gc
import threading

from fault_programs import Numbered, eventually, expect

from rxstream import Device


class File(Numbered):
    live = False


device, got = Device(File(period=0, count=400, delay=0.1), history=0.2), []
device.subscribe(lambda chunk: got.append(len(chunk)))


def first():
    for chunk in device.reader():
        return chunk
    return None


thread = threading.Thread(target=first)
thread.start()
device.open()
thread.join()
gc.collect()
expect(eventually(lambda: sum(got) == 4000, 3.0), f"{sum(got)} of 4000 samples came")
