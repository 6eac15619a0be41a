"""The thread that plays an opened sound: of a recording at its pace, of a stream as it comes."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Emit, Fail
from rxstream.data.stream_info import Reading
from rxstream.devices.camera.playing import MediaThread
from rxstream.devices.media_sound.inputs import Block, SoundInput

__all__ = ["SoundReader"]

# What a server has buffered comes in a burst as a stream is opened, and servers send by some tenths
# of a second at once: so long the first blocks are held back, once, to see the least delay [ns].
_HOLD = 1_000_000_000
# and their size [bytes]
_HOLD_BYTES = 1 << 26


class SoundReader(MediaThread):
    """Plays an opened sound until its end.

    Parameters
    ----------
    sound, blocks, first
        The input, its blocks, and the first one, which has been read already.
    start
        Time of position 0 of a recording [ns].
    emit
        Takes readings.
    fail, where, paced, remote
        As of `MediaThread`.
    """

    def __init__(
        self, sound: SoundInput, blocks: Iterator[Block], first: Block, start: int, emit: Emit,
        fail: Fail, where: str, *, paced: bool, remote: bool,
    ) -> None:  # fmt: skip
        super().__init__(
            fail, "mediasound", where, recorded=sound.recorded, remote=remote, paced=paced
        )
        self._sound, self._blocks, self._first = sound, blocks, first
        self._start, self._emit = start, emit

    def play(self) -> None:
        """Emit blocks up to the end."""
        if self._recorded:
            self._play_recording()
            return
        held, rest = self._held()
        self._emit_held(held)
        for block in rest:
            if self.stopped:
                return
            self._put(block.data, block.time, block.lost, block.arrival)

    def missing(self) -> str:
        """Return a sentence on what a recording lacks at its end, or ''."""
        return self._sound.missing()

    def release(self) -> None:
        """Free the driver."""
        self._sound.release()

    def _all(self) -> Iterator[Block]:
        yield self._first
        yield from self._blocks

    def _play_recording(self) -> None:
        self.begin(0)
        for block in self._all():
            # as from a microphone, a block is there as its last sample is
            if self.wait_until(self._end_of(block)):
                return
            self._put(block.data, self._start + block.time, block.lost, None)

    def _held(self) -> tuple[list[Block], Iterator[Block]]:
        """Return the first blocks of a stream, and those after them."""
        held, size, rest = list[Block](), 0, self._all()
        for block in rest:
            held.append(block)
            size += block.data.nbytes
            late = block.arrival - held[0].arrival >= _HOLD
            if late or size >= _HOLD_BYTES or self.stopped:
                break
        return held, rest

    def _emit_held(self, held: list[Block]) -> None:
        """Emit blocks as one reading, or as several where samples are missing.

        They are taken to arrive as they would have with the least delay of them all: the last one
        has often waited with others for a packet to be full.
        """
        least = min(block.arrival - self._end_of(block) for block in held)
        edges = [0, *(k for k in range(1, len(held)) if held[k].lost), len(held)]
        for i, j in pairwise(edges):
            data = np.concatenate([block.data for block in held[i:j]])
            arrival = least + self._end_of(held[j - 1])
            self._put(data, held[i].time, held[i].lost, arrival)

    def _end_of(self, block: Block) -> int:
        """Return the time of the end of a block in the container [ns]."""
        return block.time + round(len(block.data) * 1e9 / self._sound.rate)

    def _put(self, data: NDArray[Any], time: int, lost: int, arrival: int | None) -> None:
        if self.stopped:
            return
        stamps: int | NDArray[np.int64] = time
        if not self._recorded:
            # of each sample: the first of a long burst alone is far from those that follow it
            steps = np.arange(len(data)) * (1e9 / self._sound.rate)
            stamps = time + np.rint(steps).astype(np.int64)
        self._emit(Reading(data, device_time=stamps, lost=lost or None, arrival=arrival))
