"""The `StreamInfo` of results, and the place in the stream where a function failed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import format_time
from rxstream.data.concat import concat
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["ResultChunks", "ResultInfo", "check_changes", "place_of"]


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


class ResultChunks:
    """Chunks of results at the times of chunks of a source.

    Chunks without samples at the beginning wait for the first results, because shape and dtype of
    these are not known before.

    Parameters
    ----------
    changes
        Fields of `StreamInfo` to be replaced, checked by `check_changes`.
    """

    __slots__ = ("_held", "_info")

    def __init__(self, changes: Mapping[str, Any]) -> None:
        self._info = ResultInfo(changes)
        self._held: Chunk | None = None

    def of(self, chunk: Chunk, data: NDArray[Any]) -> tuple[Chunk, ...]:
        """Return results ``data`` ``(n, *shape)`` of a chunk with samples, after what was held."""
        info = self._info.of(chunk.info, data)
        out = chunk.with_data(data, info)
        held, self._held = self._held, None
        return (out,) if held is None else (held.with_data(data[:0], info), out)

    def without_samples(self, chunk: Chunk) -> tuple[Chunk, ...]:
        """Return a chunk without samples as one of the results, or hold it."""
        info = self._info.info
        if info is None:
            self._held = chunk if self._held is None else concat((self._held, chunk))
            return ()
        return (chunk.with_data(np.empty((0, *info.shape), info.dtype), info),)

    def flush(self) -> tuple[Chunk, ...]:
        """Return what is still held when no results have come."""
        return () if self._held is None else (self._held,)


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
    return f"the item {shown(item, 80)}"
