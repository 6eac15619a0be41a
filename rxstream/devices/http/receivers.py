"""What the body of an answer becomes: readings, of messages or of frames."""

from dataclasses import replace
from typing import Protocol

import numpy as np

from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.http.events import EventReader, LineReader
from rxstream.devices.http.frames import FrameDecoder, Jpeg
from rxstream.devices.http.parts import PartReader, stamp_of
from rxstream.devices.messages import MessageDecoder

__all__ = ["FrameReceiver", "MessageReceiver", "Receiver", "joined"]


class Receiver(Protocol):
    """Makes readings of the bytes of one answer."""

    @property
    def info(self) -> StreamInfo | None:
        """Description of the stream, if it is known only now."""
        ...

    @property
    def endless(self) -> bool:
        """Whether the body has no end by length, so that one that ends was cut off."""
        ...

    @property
    def over(self) -> bool:
        """Whether the body itself has said that it is over."""
        ...

    @property
    def last_id(self) -> str:
        """Number of the last event; empty if there is none."""
        ...

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; return what they complete, with its arrival."""
        ...

    def rest(self) -> list[Reading]:
        """Return what the end of the body completes."""
        ...


class MessageReceiver:
    """Lines or events."""

    info, over = None, False

    def __init__(self, decoder: MessageDecoder, reader: EventReader | LineReader) -> None:
        self._decoder, self._reader = decoder, reader

    @property
    def endless(self) -> bool:
        """Whether these are events, which have no end."""
        return isinstance(self._reader, EventReader)

    @property
    def last_id(self) -> str:
        """Number of the last event."""
        return self._reader.last_id if isinstance(self._reader, EventReader) else ""

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; return the messages that are complete, those that came together as one."""
        return self._readings(self._reader.feed(data))

    def rest(self) -> list[Reading]:
        """Return the last line."""
        return self._readings(self._reader.rest()) if isinstance(self._reader, LineReader) else []

    def _readings(self, messages: list[bytes]) -> list[Reading]:
        arrival = now_ns()
        found = [self._decoder.reading(message) for message in messages]
        return joined([replace(x, arrival=arrival) for x in found if x is not None])


class FrameReceiver:
    """Parts that are images."""

    endless, last_id = True, ""

    def __init__(self, form: Jpeg, info: StreamInfo, boundary: bytes, longest: int) -> None:
        self._decoder = FrameDecoder(form, info.name)
        self._reader = PartReader(boundary, longest)
        self._form, self._info = form, info

    @property
    def info(self) -> StreamInfo | None:
        """Description of the frames; None before the first one."""
        shape = self._decoder.shape
        return None if shape is None else self._form.describe(self._info, shape)

    @property
    def over(self) -> bool:
        """Whether the body has come to its own end."""
        return self._reader.over

    def feed(self, data: bytes) -> list[Reading]:
        """Take bytes; return the frames that are complete."""
        arrival, readings = now_ns(), []
        for part in self._reader.feed(data):
            reading = self._decoder.reading(part.data)
            if reading is not None:
                stamp = stamp_of(part.headers)
                readings.append(replace(reading, device_time=stamp, arrival=arrival))
        return readings

    def rest(self) -> list[Reading]:
        """Return nothing: a part has an end of its own."""
        return []


def joined(readings: list[Reading]) -> list[Reading]:
    """Return as few readings as hold the same: those that came together, or have stamps of all.

    The stamps of one reading keep their distances, though all have come at once. It ends where
    something is lost.
    """
    found: list[list[Reading]] = []
    for reading in readings:
        if found and reading.lost is None and _belong(found[-1][-1], reading):
            found[-1].append(reading)
        else:
            found.append([reading])
    return [_as_one(group) for group in found]


def _belong(before: Reading, reading: Reading) -> bool:
    """Whether two readings, one after the other, may be one."""
    stamped = [isinstance(x.device_time, np.ndarray) for x in (before, reading)]
    return all(stamped) or (not any(stamped) and before.arrival == reading.arrival)


def _as_one(group: list[Reading]) -> Reading:
    first, last = group[0], group[-1]
    if first is last:
        return first
    stamps = [x.device_time for x in group if isinstance(x.device_time, np.ndarray)]
    return replace(
        first,
        data=np.concatenate([x.data for x in group]),
        device_time=np.concatenate(stamps) if stamps else None,
        arrival=last.arrival,
    )
