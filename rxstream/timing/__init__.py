"""True times: from when data arrived to when it was taken.

A chunk arrives late by a delay that is never negative and hardly ever the same. On a regular
device clock ``x`` the arrivals minus ``x`` therefore lie *above* a nearly straight line; the line
under them, not through them, is the clock. The rooms:

`settings`
    What is known of a stream beforehand: `ClockSettings`.
`counters`
    Device time in whole samples or ticks; unwraps counters and sees restarts.
`tangent`
    The lower hull of points, and the most plausible line under it.
`buckets`, `envelope`
    The same over a sliding window, in bounded memory; its scales and its doubt.
`extremes`
    How far the lowest of many delays lies above the least possible one.
`near`
    The scale and the shape of the delays near the floor.
`delays`
    A histogram of the delays above the line.
`gaptest`
    Whether a run of late chunks is lateness or loss.
`joint`
    Time goes on where the delay changes for good.
`minima`
    A steadier slope where delays are thin at the floor.
`floor`
    The line with all that is known about it.
`verdicts`
    What happened, when a chunk does not fit.
`bounds`
    The same line from below, where something bounds the times from there.
`output`
    Times that only go forward.
`model`
    `ClockModel`, which ties them together.
`offline`, `passes`, `arrays`
    The same for recordings, where the future is known, and for plain arrays: `correct_arrays`.
`matching`, `calibrate`
    The least delay itself, from events that two devices both saw: `calibrate_latency`.

No Rx, no threads, no clocks here: ints [ns] and floats [s] in, ints [ns] out.
"""

from rxstream.timing.calibration.calibrate import Calibration, calibrate_latency, events_of
from rxstream.timing.online.model import ClockModel
from rxstream.timing.recorded.arrays import correct_arrays
from rxstream.timing.recorded.passes import CorrectedTimes
from rxstream.timing.settings import ClockSettings
from rxstream.timing.stamp import ClockEvent, Stamp

__all__ = [
    "Calibration",
    "ClockEvent",
    "ClockModel",
    "ClockSettings",
    "CorrectedTimes",
    "Stamp",
    "calibrate_latency",
    "correct_arrays",
    "events_of",
]
