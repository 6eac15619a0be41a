"""`Backoff`: when to try to open a lost device again."""

from dataclasses import dataclass

from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import is_number, is_whole

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before each try to open a lost device again.

    Attributes
    ----------
    first, most
        Wait before the first try, and the longest one [s].
    factor
        Growth of the wait from try to try, at least 1.
    tries
        Number of tries, or None for as long as the device is open.
    timeout
        Longest wait for the driver in each try [s], and before the first one for it to close. Then
        it is taken to hang: that call of it is given up, and another one tried.

    Raises
    ------
    ParameterError
        If a value cannot work.

    Examples
    --------
    >>> Backoff(first=0.5, tries=10).most
    5.0
    """

    first: float = 0.1
    most: float = 5.0
    factor: float = 2.0
    tries: int | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for name in ("first", "most", "timeout"):
            wait = to_span(getattr(self, name), f"Backoff.{name}") / 1e9
            object.__setattr__(self, name, wait)
        if self.most < self.first:
            msg = (
                f"Backoff.most is the longest wait, and must be >= first={self.first:g}, not "
                f"{self.most:g}; give most={self.first:g}"
            )
            raise ParameterError(msg)
        if not is_number(self.factor) or self.factor < 1:
            msg = f"Backoff.factor must be a number >= 1, not {shown(self.factor)}"
            raise ParameterError(msg)
        if self.tries is not None and not is_whole(self.tries, 1):
            msg = f"Backoff.tries must be a whole number >= 1, or None, not {shown(self.tries)}"
            raise ParameterError(msg)

    @classmethod
    def of(cls, value: "Backoff | Duration | bool | None") -> "Backoff | None":
        """Return a backoff for ``True`` (the default one), seconds (a fixed wait), or None."""
        if value is None or isinstance(value, Backoff):
            return value
        if isinstance(value, bool):
            return cls() if value else None
        wait = to_span(value, "reconnect") / 1e9
        return cls(first=wait, most=wait, factor=1.0)
