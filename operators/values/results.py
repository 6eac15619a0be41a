"""The `StreamInfo` of results, and the place in the stream where a function failed."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import format_time
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError

__all__ = ["ResultInfo", "check_changes", "place_of"]


class ResultInfo:
    """The `StreamInfo` of results, made anew only when the stream or the kind of samples changes.

    One object for many chunks: whoever takes them compares infos by identity first.

    Parameters
    ----------
    changes
        Fields of `StreamInfo` to be replaced, checked by `check_changes`.
    """

    __slots__ = ("_changes", "_source", "info")

    def __init__(self, changes: Mapping[str, Any]) -> None:
        self._changes = changes
        self._source: StreamInfo | None = None
        self.info: StreamInfo | None = None
        """The newest one, or None before the first results."""

    def of(self, source: StreamInfo, data: NDArray[Any]) -> StreamInfo:
        """Return the info of results ``data`` ``(n, *shape)`` computed from stream ``source``."""
        info = self.info
        if (
            info is None
            or self._source is not source
            or info.dtype != data.dtype
            or info.shape != data.shape[1:]
        ):
            info = self.info = source.like(data, **self._changes)
            self._source = source
        return info


def check_changes(operator: str, changes: Mapping[str, Any]) -> None:
    """Raise ParameterError unless ``changes`` are valid for `StreamInfo` and not shape or dtype."""
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


def place_of(item: object) -> str:
    """Return where an item lies in its stream, for the note of an error."""
    if isinstance(item, Chunk):
        return f"the chunk of {item.info.name} at {format_time(item.start)} (sample {item.index})"
    return f"the item {item!r:.80}"
