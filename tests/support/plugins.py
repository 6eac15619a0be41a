"""Packages of other people that register devices, installed for a test: good ones and broken."""

from pathlib import Path

__all__ = ["BROKEN", "install_plugins"]

# Name of the device, what its entry point says, its module (None: there is none), and what must
# stand in the error of opening it.
BROKEN = {
    "missing": ("nowhere_at_all:Source", None, "ModuleNotFoundError"),
    "exits": ("p_exits:Source", "import sys\nsys.exit(3)", "SystemExit: 3"),
    "raises": ("p_raises:Source", "raise RuntimeError('no licence \\x1b[2J')", "no licence"),
    "base": ("p_base:Source", "class E(BaseException): pass\nraise E", "(E)"),
    "cancelled": ("p_cancel:Source", "import asyncio\nraise asyncio.CancelledError", "Cancelled"),
    "syntax": ("p_syntax:Source", "def :", "SyntaxError"),
    "nothing": ("p_nothing:Source", "", "AttributeError"),
    "number": ("p_number:Source", "Source = 5", "is no class, but 5"),
    "module": ("p_module", "", "is no class, but <module"),
    "malformed": ("no module at all", None, "cannot be loaded ("),
    "no_info": ("p_no_info:Source", "class Source:\n def open(self, e, f): ...", "it needs `info`"),
    "wrong_info": (
        "p_wrong_info:Source",
        "class Source:\n info = 5\n def open(self, e, f): ...",
        "it needs `info`, a StreamInfo",
    ),
    "info_raises": (
        "p_info_raises:Source",
        """class Source:
    @property
    def info(self): raise RuntimeError('confused')
    def open(self, e, f): ...""",
        "RuntimeError: confused",
    ),
    "made_exits": (
        "p_made_exits:Source",
        "class Source:\n def __init__(self): raise SystemExit('bye')",
        "SystemExit: bye",
    ),
}  # fmt: skip
"""Devices that cannot be opened."""

_GOOD = """
import numpy as np
from rxstream import StreamInfo
from rxstream.devices import DeviceInfo

EVIL = "evil\\x1b]0;pwned\\x07\\x1b[2J\\u202e\\n" + "x" * 500

class Source:
    "Evil\\x1b[2J: nothing"
    info = StreamInfo(EVIL, 10.0, dtype=float, unit="V\\x1b[2J")

    @staticmethod
    def discover():
        return [DeviceInfo(EVIL + "[/]", {"device": EVIL}, EVIL)]

    opened = 0

    def open(self, emit, fail):
        Source.opened += 1
        if Source.opened > 1:
            raise OSError(EVIL)
        emit(np.zeros(5))
        fail(OSError(EVIL + "[/bold]"))
        return lambda: None

class Exits(Source):
    @staticmethod
    def discover():
        raise SystemExit(4)

class Junk(Source):
    __doc__ = 5

    @staticmethod
    def discover():
        return [5]

class Hangs(Source):
    "Hangs: looks for ever"
    @staticmethod
    def discover():
        import threading
        threading.Event().wait()
"""


def install_plugins(folder: Path, *, hanging: bool = False) -> list[str]:
    """Install all of `BROKEN`, and what can be opened: ``evil``, whose names steer a terminal,
    ``looks_and_exits`` and ``junk``, whose `discover` fails. Return the names of the latter, and
    of ``hangs``, whose `discover` does not return, if that is asked for.
    """
    good = {"evil": "p_good:Source", "looks_and_exits": "p_good:Exits", "junk": "p_good:Junk"}
    if hanging:
        good["hangs"] = "p_good:Hangs"
    (folder / "p_good.py").write_text(_GOOD)
    for target, text, _ in BROKEN.values():
        if text is not None:
            (folder / f"{target.partition(':')[0]}.py").write_text(text)
    about = folder / "broken_devices-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-devices\nVersion: 1.0\n")
    entries = good | {name: target for name, (target, _, _) in BROKEN.items()}
    # they would take the place of ours
    entries["simulated"] = "p_exits:Source"
    lines = [f"{name} = {target}" for name, target in entries.items()]
    (about / "entry_points.txt").write_text("[rxstream.devices]\n" + "\n".join(lines) + "\n")
    return [*good]
