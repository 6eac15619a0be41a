"""lsl: publish a stream on the Lab Streaming Layer."""

import socket
import threading
from typing import Any

from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.data.clock import host_clock
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.optional import import_optional
from rxstream.printable import shown
from rxstream.sinks.base import Sink

__all__ = ["lsl"]

# Types that LSL has by numpy's, or those that hold all their values.
_FORMATS = {
    "float32": "float32", "float64": "double64", "int8": "int8", "int16": "int16",
    "int32": "int32", "int64": "int64", "bool": "int8", "uint8": "int16", "uint16": "int32",
    "uint32": "int64", "float16": "float32",
}  # fmt: skip

# How long what was sent last has to leave before the outlet is gone [s]: liblsl does not say when.
_LINGER = 0.25


class lsl(Sink):  # noqa: N801 - used like a function
    """Publish a stream as an outlet of the Lab Streaming Layer, for LabRecorder and others.

    Each sample is sent with its time; names and units of the channels are in the description. LSL
    has no word for a gap: it shows by the stamps, and `lost` counts. Nothing is sent again to who
    connects later, and who is away for 6 minutes loses the oldest.

    Parameters
    ----------
    name
        Name of the outlet; None: that of the stream.
    type
        Content of the stream, as LSL names it: ``"EEG"``, ``"Audio"``, ``"Markers"``.
    source_id
        What makes the stream known again after a restart; None: made of this computer and the
        name.

    Raises
    ------
    ParameterError
        If an argument is no text.
    MissingExtraError
        If pylsl is not installed.
    ChunkError
        With the first chunk, if LSL has no such samples: ``()`` or ``(channels,)`` of numbers or
        texts.

    Examples
    --------
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> device = Device(Simulated(rate=1000.0))
    >>> subscription = device.subscribe(lsl("sine", type="Misc"))    # doctest: +SKIP
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        type: str = "",  # noqa: A002 - as LSL calls it
        source_id: str | None = None,
    ) -> None:
        for value, what in ((name, "name"), (type, "type"), (source_id, "source_id")):
            if value is not None and not isinstance(value, str):
                msg = f"lsl: {what} must be text, not {shown(value)}"
                raise ParameterError(msg)
        super().__init__(f"lsl {name}" if name else "lsl")
        self._stream, self._type, self._source_id = name, type, source_id
        self._pylsl = import_optional("pylsl", extra="lsl")
        self._outlet: Any = None

    @property
    def has_readers(self) -> bool:
        """Whether somebody is connected."""
        return not self.closed and self._outlet is not None and self._outlet.have_consumers()

    def start(self, chunk: Chunk) -> None:
        """Open the outlet."""
        info = chunk.info
        kind = "string" if info.dtype.kind == "U" else _FORMATS.get(str(info.dtype))
        if kind is None or len(info.shape) > 1 or info.shape == (0,):
            msg = (
                f"{self.name}: {info.name} is {info.shape} {info.dtype}; LSL takes samples () or "
                "(channels,) of numbers or texts: bring them to that before, with ops.map_data, or "
                "ops.select for a field"
            )
            raise ChunkError(msg)
        self._outlet = self._pylsl.StreamOutlet(self._described(info, kind))

    def _described(self, info: StreamInfo, kind: str) -> Any:
        """Return the description of the outlet."""
        name = self._stream or info.name
        count = info.shape[0] if info.shape else 1
        described = self._pylsl.StreamInfo(
            name, self._type, count, info.rate or self._pylsl.IRREGULAR_RATE, kind,
            self._source_id or f"rxstream-{socket.gethostname()}-{name}",
        )  # fmt: skip
        units = info.extra.get("units", ())
        several = isinstance(units, tuple) and len(units) == count
        channels = described.desc().append_child("channels")
        for k in range(count):
            channel = channels.append_child("channel")
            label = info.channels[k] if len(info.channels) == count else str(k + 1)
            channel.append_child_value("label", label)
            channel.append_child_value("unit", str(units[k]) if several else info.unit)
            channel.append_child_value("type", self._type)
        described.desc().append_child_value("manufacturer", "rxstream")
        return described

    def write(self, chunk: Chunk) -> None:
        """Send the samples."""
        if not len(chunk):
            return
        data: NDArray[Any] = chunk.data.reshape(len(chunk), -1)
        # host time [ns] of the zero of LSL's clock, which stands still while the computer sleeps
        zero = host_clock.from_clock(0, lambda: round(self._pylsl.local_clock() * 1e9))
        stamps = ((chunk.time - zero) / 1e9).tolist()
        self._outlet.push_chunk(data.tolist() if data.dtype.kind == "U" else data, stamps)

    def finish(self) -> None:
        """Close the outlet."""
        outlet, self._outlet = self._outlet, None
        if outlet is not None and outlet.have_consumers():
            threading.Event().wait(_LINGER)
