"""Filters of CAN messages, by their identifiers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.formats.can import CanFlag
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["CanFilter", "freeze_filters", "made_filters", "passed"]

_SHORT, _LONG = 0x7FF, 0x1FFF_FFFF


@dataclass(frozen=True, slots=True)
class CanFilter:
    """Takes the messages whose identifier agrees with ``can_id`` where ``can_mask`` has ones.

    Attributes
    ----------
    can_id, can_mask
        From 0 to 0x1FFFFFFF.
    extended
        True: identifiers of 29 bits, False: of 11 bits, None: both.

    Examples
    --------
    >>> CanFilter(0x100, 0x700, extended=False)
    CanFilter(can_id=256, can_mask=1792, extended=False)
    """

    can_id: int
    can_mask: int
    extended: bool | None = None

    def __post_init__(self) -> None:
        for name in ("can_id", "can_mask"):
            value = getattr(self, name)
            if not (is_whole(value, 0) and value <= _LONG):
                msg = f"filters: {name} must be from 0 to 0x1FFFFFFF, not {shown(value)}"
                raise ParameterError(msg)
            object.__setattr__(self, name, int(value))
        if self.extended is not None and not isinstance(self.extended, bool):
            msg = f"filters: extended must be True, False or None, not {shown(self.extended)}"
            raise ParameterError(msg)

    @property
    def for_driver(self) -> dict[str, Any]:
        """The filter as python-can has it."""
        made: dict[str, Any] = {"can_id": self.can_id, "can_mask": self.can_mask}
        return made if self.extended is None else made | {"extended": self.extended}


def freeze_filters(
    filters: Iterable[int | CanFilter | Mapping[str, Any]],
) -> tuple[int | CanFilter, ...]:
    """Return filters that are written as identifiers, `CanFilter` or dicts of python-can.

    Dicts become `CanFilter`, which can be hashed.

    Raises
    ------
    ParameterError
        If one is none of these.
    """
    if isinstance(filters, str | Mapping | np.ndarray | CanFilter) or not isinstance(
        filters, Iterable
    ):
        msg = f"filters must be a list of identifiers or dicts, not {shown(filters)}"
        raise ParameterError(msg)
    return tuple(map(_frozen, filters))


def made_filters(filters: Iterable[int | CanFilter | Mapping[str, Any]]) -> tuple[CanFilter, ...]:
    """Return filters with a mask each: of an identifier all its bits."""
    return tuple(
        wanted if isinstance(wanted, CanFilter) else _of_identifier(wanted)
        for wanted in freeze_filters(filters)
    )


def _of_identifier(identifier: int) -> CanFilter:
    long = identifier > _SHORT
    return CanFilter(identifier, _LONG if long else _SHORT, long)


def _frozen(wanted: Any) -> int | CanFilter:
    if isinstance(wanted, CanFilter):
        return wanted
    if is_whole(wanted, 0) and wanted <= _LONG:
        return int(wanted)
    if isinstance(wanted, Mapping) and {"can_id", "can_mask"} <= wanted.keys():
        rest = wanted.keys() - {"can_id", "can_mask", "extended"}
        if not rest:
            return CanFilter(**wanted)
    msg = (
        f"filters: {shown(wanted)} is neither an identifier from 0 to 0x1FFFFFFF nor a dict "
        "with can_id and can_mask, and perhaps extended"
    )
    raise ParameterError(msg)


def passed(
    data: NDArray[Any], filters: Sequence[CanFilter], *, error_frames: bool
) -> NDArray[np.bool_]:
    """Return which messages to take, bool ``(n,)``.

    Error frames have no identifier, and pass by ``error_frames`` alone.

    Parameters
    ----------
    data
        Messages ``(n,)`` with the fields of `CAN_DTYPE`.
    filters
        Empty: all.
    error_frames
        Whether to take error frames.
    """
    flags, identifiers = data["flags"], data["arbitration_id"]
    errors = flags & CanFlag.ERROR != 0
    keep = np.full(len(data), not filters)
    for wanted in filters:
        same = (identifiers ^ wanted.can_id) & wanted.can_mask == 0
        if wanted.extended is not None:
            same &= (flags & CanFlag.EXTENDED != 0) == wanted.extended
        keep |= same
    result: NDArray[np.bool_] = np.where(errors, error_frames, keep)
    return result
