"""Names and notes of devices reach the terminal raw.

A microphone called ``x\\x1b[2J`` clears the screen. Right: no control character of a name is
printed by ``rxstream devices``, ``rxstream watch``, or the `repr` of a chunk.
"""

import contextlib
import io

import numpy as np
from fault_programs import Numbered, expect

from rxstream import Chunk, StreamInfo
from rxstream.cli.app import main
from rxstream.devices import DeviceInfo
from rxstream.registry import entry_points

EVIL = "evil\x1b]0;pwned\x07\x1b[2J\x1b[1;31m\u202e"


class Evil(Numbered):
    """Evil: x\x1b[2J"""

    def __init__(self):
        super().__init__(EVIL)

    @staticmethod
    def discover():
        return [DeviceInfo(EVIL, {"device": "x\x1b[2J"}, "note\x1b[2J")]


class Entry:
    name = "evil"

    def load(self):
        return Evil


entry_points._entries = lambda: {"evil": Entry()}


def output(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(arguments)
    return out.getvalue()


chunk = Chunk.regular(np.zeros(1), StreamInfo(EVIL, 1.0, dtype=float), start=0)
texts = {
    "devices": output("devices"),
    "devices evil": output("devices", "evil"),
    "watch": output("watch", "evil", "--seconds", "1.2"),
    "repr": repr(chunk),
}
assert all("evil" in text.lower() for text in texts.values()), texts
raw = [name for name, text in texts.items() if "\x1b" in text or "\x07" in text]
expect(not raw, f"escape sequences in the output of {raw}")
