"""decode_can: the signals of CAN messages, by a database."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError
from rxstream.formats.can import CAN_DTYPE
from rxstream.formats.can_decode import Decoder, StreamDecoder
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["decode_can"]


class _DecodeCan:
    __slots__ = ("_decoder", "_extra", "_info", "_known")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self._extra = StreamDecoder(decoder), decoder.extra
        self._known: StreamInfo | None = None
        self._info: StreamInfo | None = None

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        info = chunk.info
        if chunk.data.dtype != CAN_DTYPE:
            msg = f"decode_can takes CAN messages, not {info.name} ({chunk.data.dtype})"
            raise ChunkError(msg)
        if info is not self._known:
            empty = np.empty((0, *info.shape), self._decoder.dtype)
            self._known, self._info = info, info.like(empty, extra={**info.extra, **self._extra})
        return (chunk.with_data(self._decoder.decode(chunk.data), self._info),)

    def flush(self) -> tuple[()]:
        self._decoder.check(ended=True)
        return ()


@label
def decode_can(
    database: Any, signals: Iterable[str] | None = None
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Decode the signals of CAN messages by a database.

    The samples are those of ``Can(decode=database)``, but the window of the device holds the plain
    messages, which need much less room, and each subscriber may decode by a database of its own.

    .. marble::

        --[0x123: a0 0f]--[0x200: 01]--|
        [    decode_can("car.dbc")     ]
        --[Speed 1000 ]---[Speed nan]--|

    Parameters
    ----------
    database
        Path of a DBC (or ARXML, KCD, SYM), the text of a DBC, or a database of cantools.
    signals
        Signals to decode, ``"Signal"`` or ``"Message.Signal"``; None: all. All signals are in every
        sample, so choose some of a large database.

    Returns
    -------
    operator
        Takes chunks ``(n,)`` of `CAN_DTYPE` and emits them, without delay, with more fields:
        ``message``, the index in ``info.extra["messages"]``, and a float64 for each signal, scaled
        to its unit (``info.extra["units"]``), NaN where the message has no such signal. A field
        has the signal's name, or ``"Message.Signal"`` where several messages have a signal of that
        name. Messages that the database does not have pass with ``message`` -1; each such
        identifier is logged once.

    Raises
    ------
    ParameterError, FormatError
        If there is no such database or signal, or the database cannot be read. In the stream, at
        its end: `FormatError` if the database has none of its identifiers.
    ChunkError
        In the stream, if it is none of CAN messages.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk
    >>> from rxstream.devices.can import Can
    >>> text = '''VERSION ""
    ... BO_ 291 Engine: 2 Vector__XXX
    ...  SG_ Speed : 0|16@1+ (0.25,0) [0|16000] "rpm" Vector__XXX
    ... '''
    >>> info = Can("can0", interface="virtual").info
    >>> messages = np.zeros(1, info.dtype)
    >>> messages["arbitration_id"], messages["dlc"] = 291, 2
    >>> messages["data"][0, :2] = 160, 15
    >>> chunk = Chunk.stamped(messages, [0], info)
    >>> rx.of(chunk).pipe(decode_can(text)).subscribe(lambda c: print(c.data["Speed"])).dispose()
    [1000.]
    """
    decoder = Decoder(database, signals)
    return lift(lambda: _DecodeCan(decoder))
