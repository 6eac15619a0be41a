"""Lanes of ``make test``: real tests one after the other in two processes, pure ones in the others.

Real tests mostly wait, so that two of them and the pure ones leave no core idle, nor ask too much
of one. What two of them would share, a port of their own choice or a sound card, they do not.
"""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

__all__ = ["Lanes", "lane_of"]

_ROOT = Path(__file__).parents[2]
# About half of the time of all real tests.
_DEVICES = ("tests/devices/", "tests/sinks/", "tests/stream2py/")


@cache
def lane_of(file: str) -> str | None:
    """Return the lane of a file of tests, or None if none of them is real."""
    if "pytest.mark.real" not in (_ROOT / file).read_text():
        return None
    return "devices" if file.startswith(_DEVICES) else "others"


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the files of a lane to one process, and each other test to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid.partition("::")[0]) or nodeid
