"""From the readings of a source to chunks in the window: copied, stamped, counted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from rxstream.acquisition.faults import Faults
from rxstream.acquisition.silence import Silence
from rxstream.acquisition.stamper import Stamper, Timestamps, clock_settings
from rxstream.data.checked import misfit
from rxstream.data.flow import Meter
from rxstream.data.slab_store import SampleCopies
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ChunkError, DeviceError
from rxstream.printable import get_logger
from rxstream.timing.online.counters import is_another_rate
from rxstream.window.subject import TimeWindowSubject

__all__ = ["Ingest", "named"]

_logger = get_logger(__name__)


def named(info: StreamInfo, name: str) -> StreamInfo:
    """Return a description under the name of the device."""
    return info if info.name == name else replace(info, name=name)


def _hertz(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.10g} Hz"


class Ingest:
    """Makes chunks of the readings of one session; called by one thread at a time.

    Parameters
    ----------
    info
        Description of the stream.
    subject
        Takes the chunks.
    faults
        Takes what the clock model finds.
    timestamps, path_delay
        As given to the device; the delay in ns.
    live
        Whether the stream comes as it happens; see `Stamper`.
    slept
        Function that returns how long the host has slept [ns].
    """

    def __init__(
        self,
        info: StreamInfo,
        subject: TimeWindowSubject,
        faults: Faults,
        *,
        timestamps: Timestamps,
        path_delay: int,
        live: bool,
        slept: Callable[[], int],
    ) -> None:
        self.info, self._subject, self._faults = info, subject, faults
        self._timestamps, self._path_delay = timestamps, path_delay
        self._live, self._slept = live, slept
        self._stamper: Stamper | None = None
        self._copies: SampleCopies[Any] | None = None
        self.meter = Meter()
        self.silence = Silence(steady=info.rate is not None)
        self.samples = 0
        """Samples so far, those too that find no place in time."""
        self.readings = 0
        """Readings so far that had samples."""

    @property
    def clock_state(self) -> str:
        """State of the clock model."""
        return self._stamper.state if self._stamper else "warming"

    def append(self, reading: Reading, now: int) -> None:
        """Copy a reading handed over at ``now`` [ns], stamp it, and append it to the window."""
        info, data = self.info, reading.data
        if type(data) is not ndarray:
            data = np.asarray(data)
        dtype, shape = data.dtype, data.shape
        # most types are one object each, which is compared at once
        other = dtype is not info.dtype and dtype != info.dtype
        if other or shape[1:] != info.shape or not shape:
            raise ChunkError(misfit(data, info))
        self.silence.came(now)
        n = shape[0]
        if n:
            self.samples += n
            self.readings += 1
        copies, stamper = self._copies, self._stamper
        if copies is None or stamper is None:
            copies, stamper = self._prepare()
        chunk = stamper.stamp(reading, copies.copy(data), now)
        if stamper.found:
            found, stamper.found = stamper.found, []
            for event in found:
                self._faults.report(event)
        if chunk is not None:
            # counted first: a subscriber that has a chunk finds it in the statistics
            self.meter.push(chunk)
            self._subject.on_next(chunk)

    def describe(self, info: StreamInfo) -> None:
        """Take the description that the source gives as it is opened; between two openings.

        Rate and clock stay those of the first opening; a change of the samples, or of the rate by
        as little as the clock model follows, is a fault.

        Raises
        ------
        ChunkError
            If the rate is another one. No sample shows that, as it shows another shape: filters,
            windows and files would go on by the rate that they were made for.
        """
        before, stamper = self.info, self._stamper
        if stamper is None or info == before:
            self.info = info
            return
        if info.rate != before.rate:
            self._report_rate(info.rate, before)
        self.info = now = replace(
            info, rate=before.rate, counter=before.counter,
            device_clock=before.device_clock, quantum=before.quantum,
        )  # fmt: skip
        self._copies = SampleCopies[Any](now.shape, now.dtype)
        stamper.describe(now)
        if (now.shape, now.dtype) != (before.shape, before.dtype):
            msg = (
                f"{info.name}: it came back with samples {now.shape} {now.dtype}, they were "
                f"{before.shape} {before.dtype}; what joins both ends with a ChunkError: bring "
                "them to one shape and type first, with ops.map_data"
            )
            self._report(DeviceError(msg))

    def _report_rate(self, rate: float | None, before: StreamInfo) -> None:
        """Report another rate than before [Hz]; raise ChunkError if nobody could follow it."""
        text = (
            f"{before.name}: it came back with a rate of {_hertz(rate)}, which was "
            f"{_hertz(before.rate)}"
        )
        if rate and before.rate and not is_another_rate(rate, before.rate):
            self._report(DeviceError(f"{text}; its times follow what is measured"))
            return
        msg = (
            f"{text}; what uses the stream was made for that: close and open the device, which "
            "begins a new one"
        )
        raise ChunkError(msg)

    def _report(self, error: DeviceError) -> None:
        _logger.warning("%s", error)
        self._faults.report(error)

    def overrun(self) -> None:
        """Call a loss that is found soon an overrun."""
        if self._stamper is not None:
            self._stamper.overrun()

    def disconnect(self) -> None:
        """Expect a hole before the next reading: the source was lost and opened again."""
        if self._stamper is not None:
            self._stamper.restart("disconnect")

    def _prepare(self) -> tuple[SampleCopies[Any], Stamper]:
        """Make the copies and the stamper."""
        info = self.info
        self._copies = SampleCopies[Any](info.shape, info.dtype)
        settings = clock_settings(info, self._path_delay / 1e9)
        self._stamper = Stamper(
            info, self._timestamps, settings, live=self._live, slept=self._slept
        )
        return self._copies, self._stamper
