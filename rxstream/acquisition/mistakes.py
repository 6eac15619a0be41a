"""Mistakes in the code of a device: which errors come again however often it is opened."""

from types import TracebackType
from typing import Any

__all__ = ["Mistakes"]

# Errors of a name, an attribute, an argument or an import that is not there. Others, such as a
# ValueError, may come of what a device has sent.
_KINDS = (NameError, AttributeError, TypeError, ImportError, SyntaxError, NotImplementedError)

# Openings in turn that one mistake may end: an attribute may be missing for once, as of a
# connection that was closed elsewhere.
_OPENINGS = 3

_LOOKUP = "__getattr__"

# An opening that has lived for so long [s] is worth another one, whatever ended it.
_LONG = 60.0


class Mistakes:
    """Counts the openings in turn that were ended by one mistake, at one line of the source.

    Only errors that its own code raises are mistakes, and not those of a driver's package: some of
    them raise a TypeError when a cable is pulled.

    Parameters
    ----------
    source
        The device.
    """

    __slots__ = ("_count", "_place", "_source")

    def __init__(self, source: object) -> None:
        self._source, self._count = source, 0
        self._place: object = None

    def repeats(self, error: BaseException, lived: float) -> bool:
        """Whether one more opening would be ended by the same mistake.

        Parameters
        ----------
        error
            What has ended an opening, or kept it from being opened.
        lived
            For how long it was open [s].
        """
        place = self._place_of(error.__cause__ or error)
        goes_on = place is not None and place == self._place and lived < _LONG
        self._place, self._count = place, self._count + 1 if goes_on else 1
        return place is not None and self._count >= _OPENINGS

    def _place_of(self, error: BaseException) -> object:
        """Return kind, file and line of a mistake; None of any other error."""
        if not isinstance(error, _KINDS):
            return None
        frame = last = error.__traceback__
        while frame is not None:
            code = frame.tb_frame.f_code
            # of an import, or of a name that a module looks up itself, the line that has it
            if not code.co_filename.startswith("<frozen importlib") and code.co_name != _LOOKUP:
                last = frame
            frame = frame.tb_next
        if last is None or _package_of(last) not in self._packages():
            return None
        return type(error), last.tb_frame.f_code.co_filename, last.tb_lineno

    def _packages(self) -> set[str]:
        """Return the packages that the source, or the function it calls, is written in."""
        written: list[Any] = [type(self._source), getattr(self._source, "function", None)]
        return {str(getattr(one, "__module__", "")).partition(".")[0] for one in written}


def _package_of(frame: TracebackType) -> str:
    return str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
