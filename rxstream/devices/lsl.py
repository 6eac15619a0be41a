"""lsl: a stream of the Lab Streaming Layer (extra ``lsl``)."""

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.authoring import (
    DeviceLostError,
    DeviceNotFoundError,
    ParameterError,
    Reading,
    StreamInfo,
    now_ns,
    source,
)
from rxstream.data.clock import Duration, host_clock, to_span
from rxstream.data.stream_info import is_rate
from rxstream.optional import import_optional
from rxstream.printable import error_line, get_logger, shown

__all__ = ["Lsl"]

_logger = get_logger(__name__)

# Longest time without a heartbeat, and longest wait for an answer of an outlet [s].
_BEAT, _TIMEOUT = 0.1, 3.0
# How long a second stream that is meant, too, has to answer [s].
_SECOND = 0.15
# How long liblsl holds samples that nobody takes [s], how many at least, and most of them in one
# reading.
_BUFFER, _LEAST_SAMPLES, _MAX_SAMPLES = 60, 256, 4096
# How often the distance of the clocks is asked for [ns]: liblsl measures it every 2 s, and what two
# quartz clocks drift apart meanwhile is less than this [ns].
_ASK, _DRIFT = 500_000_000, 100_000
# Stamps that int64 holds beside the time of now [s].
_CENTURY = 3e9
# An irregular sample may come as much later than its stamp, or twice as late as one before [ns].
_LATE = 100_000_000


def _described(options: Any) -> dict[str, str]:
    """Return what the stream is looked up by; raise ParameterError if that is nothing."""
    by = {"name": options.name, "type": options.type, "source_id": options.source_id}
    by = {key: value for key, value in by.items() if value}
    if not by:
        msg = "Lsl: give name=, type= or source_id= of the stream"
        raise ParameterError(msg)
    for key, value in by.items():
        if "'" in value and '"' in value:
            msg = f"Lsl: {key} cannot have both kinds of quotes, as {shown(value)}"
            raise ParameterError(msg)
    if options.longest < 1:
        msg = f"Lsl: longest must be >= 1 characters, not {options.longest}"
        raise ParameterError(msg)
    to_span(options.timeout, "Lsl: timeout")
    return by


@source(device_clock="host", dtype="f4", extra=_described, requires="rxstream[lsl]")
def Lsl(  # noqa: N802 - it becomes a class
    name: str = "",
    type: str = "",  # noqa: A002 - as LSL calls it
    source_id: str = "",
    *,
    longest: int = 200,
    timeout: Duration = 2.0,
) -> Iterator[Any]:
    """Stream of the Lab Streaming Layer, of another program or computer.

    Rate, channels, their labels and unit are those of its outlet, known once it is open. A sample
    has the shape ``(channels,)``, or ``()`` of one channel. Texts are samples, too.

    Times are the stamps of the sender, on the host clock by LSL's measurement of the distance of
    both clocks, whose error is in ``uncertainty``. LSL's own recovery is off: a sender that ends
    is a lost device, and with ``reconnect`` the stream goes on after a gap.

    Attributes
    ----------
    name, type, source_id
        Of the stream; at least one. The last is that of one device wherever it runs.
    longest
        Characters of a text, of streams of texts; a longer one is a lost sample.
    timeout
        How long it is looked for at the opening [s].

    Examples
    --------
    >>> Lsl("ActiSense", type="EEG").info.extra["type"]
    'EEG'
    """
    pylsl = import_optional("pylsl", extra="lsl")
    options = Lsl(name, type, source_id, longest=longest, timeout=timeout)
    found = _resolved(pylsl, options)
    buffer = _buffer_length(found.nominal_srate())
    inlet = pylsl.StreamInlet(found, max_buflen=buffer, recover=False)
    try:
        outlet = _answered(pylsl, "description", lambda: inlet.info(_TIMEOUT))
        info = _info(outlet, inlet, options)
        _answered(pylsl, "data", lambda: inlet.open_stream(_TIMEOUT))
        clock = _SenderClock(pylsl, inlet)
        yield info
        yield from _readings(pylsl, inlet, info, clock)
    finally:
        inlet.close_stream()


def _buffer_length(rate: float) -> int:
    """Return how long liblsl shall hold samples: seconds, or hundreds of irregular samples.

    It hangs where it has no room for those that come, as at a low rate that is not kept.

    Examples
    --------
    >>> _buffer_length(250.0), _buffer_length(0.01), _buffer_length(0.0)
    (60, 25600, 6)
    """
    return max(_BUFFER, math.ceil(_LEAST_SAMPLES / rate)) if rate else _BUFFER // 10


def _readings(pylsl: Any, inlet: Any, info: StreamInfo, clock: "_SenderClock") -> Iterator[Any]:
    """Yield what comes; raise DeviceLostError when the sender ends."""
    pack = _Packer(info)
    nothing = np.empty((0, *info.shape), info.dtype)
    while True:
        try:
            first, stamp = inlet.pull_sample(timeout=_BEAT)
            if stamp is None:
                quiet = now_ns() - clock.late
                # a stream with a rate needs none
                yield None if info.rate else Reading(nothing, bounds=(quiet, quiet))
                continue
            more, stamps = inlet.pull_chunk(timeout=0.0, max_samples=_MAX_SAMPLES)
            times, known, margin = clock.on_host(np.array([stamp, *stamps]), now_ns())
        except pylsl.util.LostError as error:
            msg = f"lsl: {info.name}: the sender has ended, or cannot be reached any more"
            raise DeviceLostError(msg) from error
        for part, data, lost in pack.parts([first, *more]):
            last, bounds = int(times[part][-1]), None
            if known[part][-1]:
                bounds = last - margin, max(min(last + margin, now_ns()), last - margin)
            yield Reading(data, device_time=times[part], bounds=bounds, lost=lost or None)


class _Packer:
    """Makes arrays of samples ``(n, *shape)``; a text that is too long is a lost sample.

    Parameters
    ----------
    info
        Description of the stream.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._info, self._lost, self._logged = info, 0, False
        self._longest = info.dtype.itemsize // 4 if info.dtype.kind == "U" else None

    def parts(self, samples: list[list[Any]]) -> Iterator[tuple[slice, NDArray[Any], int]]:
        """Yield samples between lost ones: where they are, they, and how many were lost before."""
        info, longest, start = self._info, self._longest, 0
        for k in range(len(samples) + 1) if longest else (len(samples),):
            is_end = k == len(samples)
            if not is_end and all(len(text) <= (longest or 0) for text in samples[k]):
                continue
            if k > start:
                lost, self._lost = self._lost, 0
                data = np.array(samples[start:k], info.dtype).reshape(k - start, *info.shape)
                yield slice(start, k), data, lost
            start = k + 1
            if not is_end:
                self._note(samples[k])

    def _note(self, sample: list[str]) -> None:
        """Count a lost sample; log the first."""
        self._lost += 1
        if not self._logged:
            self._logged = True
            text = max(sample, key=len)
            _logger.warning(
                "lsl: %s: the text %s has %d characters, more than longest=%d; such are only "
                "counted, in the gap before the next sample",
                self._info.name, shown(text), len(text), self._longest,
            )  # fmt: skip


class _SenderClock:
    """Maps stamps of the sender to the host clock.

    Parameters
    ----------
    pylsl, inlet
        The package, and the open inlet.
    """

    def __init__(self, pylsl: Any, inlet: Any) -> None:
        self._pylsl, self._inlet = pylsl, inlet
        # of pylsl itself, it lacks the uncertainty
        self._ask = pylsl.lib.lib.lsl_time_correction_ex
        self._ask.restype = ctypes.c_double
        self._asked = self._zero = self._half_width = 0
        self._newest: int | None = None
        self.late = _LATE
        """How much later than its stamp a sample may come [ns]."""
        self._measure(now_ns())

    def _measure(self, now: int) -> None:
        """Ask liblsl how far both clocks are apart."""
        remote, error = ctypes.c_double(), ctypes.c_double()
        code = ctypes.c_int()
        ahead = self._ask(
            self._inlet.obj, ctypes.byref(remote), ctypes.byref(error), ctypes.c_double(_TIMEOUT),
            ctypes.byref(code),
        )  # fmt: skip
        _answered(self._pylsl, "clock", lambda: self._pylsl.util.handle_error(code))
        # host time [ns] of the zero of the sender's clock
        local = host_clock.from_clock(0, lambda: round(self._pylsl.local_clock() * 1e9))
        self._asked, self._zero = now, local + round(ahead * 1e9)
        self._half_width = round(error.value * 1e9) + _DRIFT

    def on_host(
        self, stamps: NDArray[np.float64], arrival: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
        """Return stamps ``(n,)`` [s] as host time [ns], which of them can be, and their error [ns].

        By its error the mapping may put a stamp after its arrival, or before the one before it; it
        is moved by no more than that. What int64 cannot hold, as NaN, becomes 0, which cannot be.
        """
        if arrival - self._asked > _ASK:
            self._measure(arrival)
        # not of NaN, either
        held = np.abs(stamps) < _CENTURY
        whole = np.rint(np.where(held, stamps, 0.0) * 1e9).astype(np.int64)
        times = np.where(held, self._zero + whole, 0)
        margin = self._half_width
        late = (times > arrival) & (times <= arrival + margin)
        times[late] = arrival
        if self._newest is not None:
            early = (times < self._newest) & (times >= self._newest - 2 * margin)
            times[early] = self._newest
        known = (times <= arrival) & (times > arrival - _BUFFER * 10**9)
        if known.any():
            self._newest = int(times[known][-1])
            # what was held while the stream was opened is older than it looks
            oldest = arrival - int(times[known].min())
            self.late = max(self.late, min(2 * oldest, _BUFFER * 10**9))
        return times, known, margin


def _answered(pylsl: Any, what: str, ask: Any) -> Any:
    """Return what an outlet answers; raise DeviceNotFoundError if it does not."""
    try:
        return ask()
    except (TimeoutError, pylsl.util.LostError) as error:
        msg = (
            f"lsl: the outlet was found, and does not give its {what} ({error_line(error)}); see "
            "that its program is running, and that no firewall keeps you from ports 16572 to 16604"
        )
        raise DeviceNotFoundError(msg) from error


def _resolved(pylsl: Any, options: Any) -> Any:
    """Return the stream that is meant."""
    by = _described(options)
    wanted = " and ".join(f"{key}={_quoted(value)}" for key, value in by.items())
    found = pylsl.resolve_bypred(wanted, 1, to_span(options.timeout, "Lsl: timeout") / 1e9)
    if not found:
        there = ", ".join(sorted({shown(one.name()) for one in pylsl.resolve_streams(0.5)}))
        msg = (
            f"lsl: no stream with {wanted}; there are: {there or 'none'}. Where multicast does not "
            "pass, name the computers in KnownPeers of lsl_api.cfg"
        )
        raise DeviceNotFoundError(msg)
    if not options.source_id:
        # the first to answer ends the search
        found = pylsl.resolve_bypred(wanted, 2, _SECOND) or found
        ids = sorted({f"{shown(one.name())} {shown(one.source_id())}" for one in found})
        if len(ids) > 1:
            msg = f"Lsl: several streams have {wanted}: {', '.join(ids)}; give source_id="
            raise ParameterError(msg)
    # what is left of one that was killed may answer, too
    return max(found, key=lambda one: one.created_at())


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


def _info(outlet: Any, inlet: Any, options: Any) -> StreamInfo:
    """Return the description of a stream from that of its outlet."""
    count, rate = outlet.channel_count(), outlet.nominal_srate()
    dtype: Any = inlet.value_type
    dtype = f"U{options.longest}" if outlet.channel_format() == _TEXT else np.dtype(dtype)
    labels, units = _texts(outlet, "label", count), _texts(outlet, "unit", count)
    return StreamInfo(
        outlet.name() or "lsl", rate if is_rate(rate) else None, (count,) if count > 1 else (),
        dtype, units[0] if len(set(units)) == 1 else "",
        tuple(labels) if count > 1 and any(labels) else (), device_clock="host",
        extra={
            "name": outlet.name(), "type": outlet.type(), "source_id": outlet.source_id(),
            "host": outlet.hostname(), "units": tuple(units),
        },
    )  # fmt: skip


# Number of liblsl's format of texts.
_TEXT = 3


def _texts(outlet: Any, key: str, count: int) -> list[str]:
    """Return what the description says of each channel; empty texts if nothing."""
    texts: list[str] = []
    channel = outlet.desc().child("channels").child("channel")
    while not channel.empty() and len(texts) < count:
        texts.append(channel.child_value(key))
        channel = channel.next_sibling("channel")
    return texts if len(texts) == count else [""] * count
