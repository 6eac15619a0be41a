"""What an operator may change of a `StreamInfo` because somebody asks for it."""

from collections.abc import Mapping
from typing import Any

from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError

__all__ = ["check_changes"]


def check_changes(operator: str, changes: Mapping[str, Any]) -> None:
    """Raise ParameterError unless `StreamInfo` has all that somebody changes, and may."""
    unknown = set(changes) - set(StreamInfo.__dataclass_fields__)
    if unknown:
        msg = f"{operator}: StreamInfo has no {', '.join(sorted(unknown))}"
        raise ParameterError(msg)
    given = set(changes) & {"dtype", "shape"}
    if given:
        msg = f"{operator}: {' and '.join(sorted(given))}: the data decide"
        raise ParameterError(msg)
    try:
        StreamInfo(**{"name": operator, **changes})
    except ParameterError as error:
        msg = f"{operator}: {error}"
        raise ParameterError(msg) from None
