"""True times: from the arrival of data to the time at which it was taken.

A chunk arrives late by a delay that is never negative and hardly ever the same. On a regular
device clock ``x`` the arrivals minus ``x`` therefore lie *above* a nearly straight line. The clock
is the line under them, not the one through them.

`settings`, `stamp`
    Input and output of the model: `ClockSettings`, `Stamp`, `ClockEvent`.
`tangent`
    The lower hull of points, and the most plausible line under it.
`extremes`
    Bias of the lowest of many delays.

``online``: the model of a running stream.

`counters`
    Device time in whole samples or ticks; unwraps counters and sees restarts.
`buckets`, `envelope`
    The line over a sliding window, in bounded memory; its scales and its uncertainty.
`delay_shape`
    Scale and shape of the delays near the floor; a steadier slope where they are thin there.
`delays`, `losses`
    A histogram of the delays above the line, and the test of late chunks: lateness or loss.
`latency_step`
    Keeps time continuous across a permanent change of latency.
`floor`
    The line, the delays above it, and its renewals.
`event_detector`
    Finds losses, overlaps, changes of latency and restarts; its states are drawn there.
`wander`, `pace`
    Whether arrivals keep to a line, and whether that gives the times or they do; the states of the
    stated rate are drawn in `pace`.
`bounds`
    The line from below, where times are bounded from both sides.
`monotonic`
    Makes times strictly increase.
`model`
    `ClockModel`, which ties them together.
`driver`
    Stamps that a sound driver makes itself, smoothed.

``recorded``: recordings, where the future is known, and plain arrays.

`arrays`
    `correct_arrays`.
`passes`, `smoothing`
    The online model over arrays; the second pass, which fits the line to past and future.

``calibration``: the least delay itself, from events that two devices both saw.

`calibrate`, `matching`
    `calibrate_latency`, `onset_times`, and the matching of events.

No Rx, no threads, no clocks here: ints [ns] and floats [s] in, ints [ns] out.

Private constants say above them where they come from. (study) is the one before the first version:
it chose its values on seeds 0 to 4 of the fourteen traces of `benchmarks/timing/traces.py`, and
found the same errors on other seeds. (trial) means on simulated streams, without a record.
`benchmarks/timing/constants.py --table` lists those of ``online``. Without `--table` it makes each
of them that is a number 30 % smaller and larger, one by one, and shows what that does to errors,
uncertainties and losses. It leaves out what is made of other constants, and those of `driver`,
whose stamps are no arrivals. Constants of ``recorded`` have not been varied.
"""

from rxstream.timing.calibration.calibrate import Calibration, calibrate_latency, onset_times
from rxstream.timing.online.model import ClockModel
from rxstream.timing.recorded.arrays import correct_arrays
from rxstream.timing.recorded.first_pass import CorrectedTimes
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
    "onset_times",
]
