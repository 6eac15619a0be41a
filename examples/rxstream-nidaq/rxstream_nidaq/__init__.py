"""Voltages of NI DAQ boards, through NI-DAQmx (``pip install rxstream-nidaq``, and NI's driver)."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rxstream.authoring import (
    DeviceBusyError,
    DeviceCounter,
    DeviceInfo,
    MissingExtraError,
    ParameterError,
    Reading,
    StreamInfo,
    source,
)

__all__ = ["Nidaq"]

# Pause between two looks at what has come [s].
_PAUSE = 0.01
# What the driver keeps for a program that is late [s].
_BUFFER = 10.0
# Names of NI-DAQmx's errors for a board that another task uses.
_BUSY = {"PAL_RESOURCE_RESERVED", "RESOURCE_RESERVED_WITH_CONFLICTING_SETTINGS"}


def _discover() -> list[DeviceInfo]:
    """Return each board with analog inputs."""
    from nidaqmx.system import System

    boards = [
        (board.name, board.product_type, [channel.name for channel in board.ai_physical_chans])
        for board in System.local().devices
    ]
    return [
        DeviceInfo(name, {"channels": (inputs[0],)}, f"{kind}, {len(inputs)} inputs")
        for name, kind, inputs in boards
        if inputs
    ]


def _check(channels: tuple[str, ...], low: float, high: float) -> None:
    """Raise for options that no board can have."""
    if not channels or not all(channels):
        msg = f"nidaq: channels must be names, e.g. ('Dev1/ai0',), not {channels!r}"
        raise ParameterError(msg)
    if not low < high:
        msg = f"nidaq: low must be less than high, not {low!r} and {high!r}"
        raise ParameterError(msg)


@source(
    name="nidaq", dtype="f8", unit="V", requires="rxstream-nidaq", discover=_discover,
    shape=lambda options: (len(options.channels),), channels=lambda options: options.channels,
    rate=lambda options: options.rate, counter=DeviceCounter(64),
)  # fmt: skip
def Nidaq(
    channels: tuple[str, ...], rate: float = 1000.0, low: float = -10.0, high: float = 10.0
) -> Iterator[Any]:
    """Voltages of a National Instruments board, by its own sample clock [V].

    Attributes
    ----------
    channels
        NI's names of the inputs, e.g. ``("Dev1/ai0", "Dev1/ai1")``.
    rate
        Samples per second of each channel [Hz]. The board takes the nearest that it can; that is
        the rate of the stream.
    low, high
        Smallest and largest voltage to expect [V].
    """
    _check(channels, low, high)
    import nidaqmx
    from nidaqmx.constants import AcquisitionType
    from nidaqmx.errors import DaqError, DaqNotFoundError
    from nidaqmx.stream_readers import AnalogMultiChannelReader

    try:
        task = nidaqmx.Task()
    except DaqNotFoundError as error:
        msg = "nidaq: NI-DAQmx is not installed: get it from ni.com (Windows, Linux)"
        raise MissingExtraError(msg) from error
    with task:
        try:
            for channel in channels:
                task.ai_channels.add_ai_voltage_chan(channel, min_val=low, max_val=high)
            task.timing.cfg_samp_clk_timing(
                rate, sample_mode=AcquisitionType.CONTINUOUS, samps_per_chan=round(rate * _BUFFER)
            )
            task.start()
        except DaqError as error:
            if error.error_type.name in _BUSY:
                msg = f"nidaq: {', '.join(channels)}: another task uses the board: {error}"
                raise DeviceBusyError(msg) from error
            raise
        described = Nidaq(channels, rate, low, high).info
        yield replace(described, rate=task.timing.samp_clk_rate)
        yield from _samples(task.in_stream, AnalogMultiChannelReader(task.in_stream), described)


def _samples(stream: Any, reader: Any, info: StreamInfo) -> Iterator[Reading | None]:
    """Yield what has come; a program that is more than 10 s late gets an error of the driver."""
    while True:
        count = stream.avail_samp_per_chan
        if not count:
            time.sleep(_PAUSE)
            yield None
            continue
        data = np.empty((*info.shape, count))
        reader.read_many_sample(data, count, timeout=0.0)
        # the number of the next sample to read, so that of the last one is one less
        yield Reading(data.T, counter=stream.curr_read_pos - 1)
        time.sleep(_PAUSE)
