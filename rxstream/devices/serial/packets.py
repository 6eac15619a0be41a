"""Packets of binary numbers: found by their sync bytes, checked, and counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import DeviceCounter, Reading, StreamInfo
from rxstream.devices.serial.checksums import CHECKSUMS, Checksum
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import check_choice, check_flag, is_positive, is_whole

__all__ = ["Packets"]

_Counts: TypeAlias = Literal["samples", "packets"]


@dataclass(frozen=True, slots=True)
class Packets:
    r"""Packets of one length: sync bytes, then the fields of a layout.

    A packet is found by its sync bytes and proved by its checksum; without one, by the sync bytes
    of the next, and only those after it are samples. After garbage it is found again. Losses are
    counted by the packet's counter. Without one, what lies damaged between two good packets is a
    loss of as many packets as it is long, and of one at least.

    Attributes
    ----------
    sync
        The bytes with which each packet begins.
    layout
        Fields after them, as numpy describes them, without padding: ``("count", "<u2")``,
        ``("data", "<i2", (16, 3))``.
    data
        Name of the field that has the samples; empty: a packet is one structured sample of all
        fields but ``counter``, ``time``, ``check``, and those whose names begin with ``_``.
    samples
        Samples in a packet; more than one lie along the first axis of ``data``.
    counter
        Name of an unsigned field that counts; empty: none.
    counts
        What it counts: ``"samples"`` or ``"packets"``.
    time, tick
        Name of a field with the device's clock at the first sample of a packet, and its unit [s].
    check
        Name of the last field, the checksum of all before it; empty: none.
    checksum
        ``"sum"``, ``"negsum"`` (with it all bytes sum up to 0), ``"xor"``, ``"crc16-ccitt"``,
        ``"crc16-modbus"``, ``"crc32"``, or a function of the bytes.
    checks_sync
        Whether the sync bytes belong to what is checked.
    rate, unit, channels
        As in `StreamInfo`.

    Examples
    --------
    >>> packets = Packets(b"\xaa", [("volt", "<i2"), ("sum", "u1")], data="volt", check="sum")
    >>> [reading] = packets.decoder().feed(b"noise\xaa\x05\x00\xaf")
    >>> reading.data
    array([5], dtype=int16)
    """

    sync: bytes
    layout: Sequence[tuple[Any, ...]]
    data: str = ""
    samples: int = 1
    counter: str = ""
    counts: _Counts = "samples"
    time: str = ""
    tick: float = 1e-3
    check: str = ""
    checksum: Checksum | Callable[[bytes], int] = "sum"
    checks_sync: bool = True
    rate: float | None = None
    unit: str = ""
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.sync, bytes) or not self.sync:
            msg = f"Packets: sync must be bytes, e.g. b'\\xaa\\x55', not {shown(self.sync)}"
            raise ParameterError(msg)
        try:
            object.__setattr__(self, "layout", tuple(tuple(field) for field in self.layout))
            fields = self.fields
        except (TypeError, ValueError) as error:
            msg = (
                f"Packets: layout must be fields of numpy, e.g. [('count', '<u2'), "
                f"('data', '<i2', (16, 3))], not {shown(self.layout)} ({error})"
            )
            raise ParameterError(msg) from None
        object.__setattr__(self, "channels", tuple(self.channels))
        check_choice(self.counts, _Counts, "Packets: counts")
        check_flag(self.checks_sync, "Packets: checks_sync")
        if not callable(self.checksum):
            check_choice(self.checksum, Checksum, "Packets: checksum")
        problem = self._problem(fields)
        if problem:
            msg = f"Packets: {problem}"
            raise ParameterError(msg)
        _ = self.info

    def _problem(self, fields: np.dtype[Any]) -> str:
        """Return what is wrong with the names and numbers, or nothing."""
        names = fields.names or ()
        if fields.hasobject:
            return "the layout has Python objects, which no line sends; give numbers, e.g. '<i2'"
        for role in ("data", "counter", "time", "check"):
            name = getattr(self, role)
            if name and name not in names:
                return f"{role}={shown(name)} is no field of the layout; it has {', '.join(names)}"
            if name and role != "data" and (fields[name].kind not in "ui" or fields[name].shape):
                return f"{role}: the field {name} must be one whole number, not {fields[name]}"
        if self.counter and fields[self.counter].kind != "u":
            return f"counter: the field {self.counter} must be unsigned, e.g. '<u2'"
        if self.check and self.check != names[-1]:
            return f"check={shown(self.check)} must be the last field"
        if not is_whole(self.samples, 1):
            return f"samples must be a whole number >= 1, not {shown(self.samples)}"
        several = self.samples > 1
        if several and not (self.data and fields[self.data].shape[:1] == (self.samples,)):
            return f"samples={self.samples} must be the first axis of the field that data names"
        if not is_positive(self.tick):
            return f"tick must be > 0 s, not {shown(self.tick)}"
        return "" if self.data or self.own else "the layout has no field for a sample"

    @property
    def fields(self) -> np.dtype[Any]:
        """The layout as numpy's dtype."""
        return np.dtype([tuple(field) for field in self.layout])

    @property
    def own(self) -> tuple[str, ...]:
        """Fields of a structured sample."""
        roles = {self.counter, self.time, self.check}
        names = self.fields.names or ()
        return tuple(name for name in names if name not in roles and name[:1] != "_")

    @property
    def info(self) -> StreamInfo:
        """What the samples are."""
        fields, shape = self.fields, ()
        if self.data:
            base, shape = fields[self.data].base, fields[self.data].shape
            shape = shape[1:] if self.samples > 1 else shape
            dtype = base.newbyteorder("=")
        else:
            dtype = np.dtype([
                (name, fields[name].base.newbyteorder("="), fields[name].shape)
                for name in self.own
            ])  # fmt: skip
        counter = None
        if self.counter:
            bits = 8 * fields[self.counter].itemsize
            # packets of several samples are counted on without a wrap
            counter = DeviceCounter(bits if self.counts == "samples" else 64)
        return StreamInfo(
            "serial", self.rate, shape, dtype, unit=self.unit, channels=self.channels,
            counter=counter, quantum=self.samples if self.samples > 1 else None,
        )  # fmt: skip

    def decoder(self) -> "PacketDecoder":
        """Return a decoder for an opening of the line."""
        return PacketDecoder(self)


class PacketDecoder:
    """Finds packets in bytes."""

    def __init__(self, packets: Packets) -> None:
        self._packets, self._info, self._fields = packets, packets.info, packets.fields
        self._size = len(packets.sync) + self._fields.itemsize
        self._buffer = bytearray()
        self._skipped: int | None = None  # bytes since the last packet; None before the first
        self._aligned = False  # whether the last packet ended where the buffer begins
        checksum = packets.checksum
        self._checksum = CHECKSUMS[checksum] if isinstance(checksum, str) else checksum
        tick = Fraction(packets.tick).limit_denominator(10**12)
        self._tick = tick * 10**9  # [ns]
        self._counter, self._clock = _Unwrapped(), _Unwrapped()

    @property
    def missing(self) -> int:
        """How many more bytes a packet needs at least."""
        return max(1, self._size - len(self._buffer))

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; return the packets that are complete."""
        self._buffer += data
        readings = []
        while (packet := self._next()) is not None:
            readings.append(self._reading(packet))
        return readings

    def _next(self) -> bytes | None:
        """Take the next good packet out of the buffer; None if there is none yet."""
        buffer, sync, size = self._buffer, self._packets.sync, self._size
        while True:
            at = buffer.find(sync)
            # its last bytes may begin a packet
            self._skip(at if at >= 0 else max(0, len(buffer) - len(sync) + 1))
            if at < 0 or len(buffer) < size:
                return None
            packet = bytes(buffer[:size])
            if self._packets.check:
                if self._is_checked(packet):
                    del buffer[:size]
                    return packet
                self._skip(1)
            elif self._aligned:
                del buffer[:size]
                return packet
            elif len(buffer) < size + len(sync):
                return None
            elif buffer.startswith(sync, size):
                self._skip(size)
                self._aligned = True
            else:
                self._skip(1)

    def _skip(self, count: int) -> None:
        """Drop bytes that are in no good packet."""
        if count:
            del self._buffer[:count]
            self._aligned = False
            if self._skipped is not None:
                self._skipped += count

    def _is_checked(self, packet: bytes) -> bool:
        width = self._fields[self._packets.check].itemsize
        begin = 0 if self._packets.checks_sync else len(self._packets.sync)
        value = int(self._record(packet)[self._packets.check][0])
        wanted = self._checksum(packet[begin : len(packet) - width])
        return not (value - wanted) % (1 << 8 * width)

    def _record(self, packet: bytes) -> NDArray[Any]:
        return np.frombuffer(packet, self._fields, 1, len(self._packets.sync))

    def _reading(self, packet: bytes) -> Reading:
        packets, record = self._packets, self._record(packet)
        if packets.data:
            data = record[packets.data]
            data = data[0] if packets.samples > 1 else data
        else:
            data = np.empty(1, self._info.dtype)
            for name in packets.own:
                data[name] = record[name]
        reading = Reading(data.astype(self._info.dtype, copy=False))
        skipped, self._skipped = self._skipped, 0
        if packets.counter:
            reading = replace(reading, counter=self._count(int(record[packets.counter][0])))
        elif skipped:
            lost = max(1, round(skipped / self._size))
            reading = replace(reading, lost=lost * packets.samples)
        if packets.time:
            bits = 8 * self._fields[packets.time].itemsize
            ticks = self._clock.of(int(record[packets.time][0]), bits)
            reading = replace(reading, device_time=round(ticks * self._tick))
        return reading

    def _count(self, raw: int) -> int:
        if self._packets.counts == "samples":
            return raw
        bits = 8 * self._fields[self._packets.counter].itemsize
        return self._counter.of(raw, bits) * self._packets.samples % (1 << 64)


class _Unwrapped:
    """A counter of some bits that is counted on."""

    def __init__(self) -> None:
        self._total: int | None = None

    def of(self, raw: int, bits: int) -> int:
        """Return a raw value counted on from the one before it."""
        last = self._total
        self._total = raw if last is None else last + (raw - last) % (1 << bits)
        return self._total
