"""The rxstream operators: ``from rxstream import operators as ops``.

Everything that RxPY has works on chunks too; these know about samples, times and gaps.
"""

if __name__ == "operators":  # imported by accident from the top of a checkout
    msg = "use `from rxstream import operators as ops`"
    raise ImportError(msg)

from rxstream.operators.clips.capture import capture
from rxstream.operators.cutting.gate import gate
from rxstream.operators.cutting.rechunk import rechunk
from rxstream.operators.cutting.sessions import sessions
from rxstream.operators.cutting.window_by_time import window_by_time
from rxstream.operators.flow.map_async import map_async
from rxstream.operators.flow.map_parallel import map_parallel
from rxstream.operators.flow.meter import meter
from rxstream.operators.flow.timestamp_correct import timestamp_correct
from rxstream.operators.history.latest import latest
from rxstream.operators.history.on_lag import on_lag
from rxstream.operators.history.replay_window import replay_window
from rxstream.operators.history.rewind import rewind
from rxstream.operators.joins.align import align
from rxstream.operators.joins.align_step import Unmatched
from rxstream.operators.joins.join_windows import JoinedWindow, join_windows
from rxstream.operators.joins.merge_by_time import merge_by_time
from rxstream.operators.losses.detect_gaps import detect_gaps
from rxstream.operators.losses.fill_gaps import fill_gaps
from rxstream.operators.losses.gaps import gaps
from rxstream.operators.losses.ignore_gaps import ignore_gaps
from rxstream.operators.signal.decimate import decimate
from rxstream.operators.signal.filter_band import filter_band
from rxstream.operators.signal.onset import onset
from rxstream.operators.signal.resample import resample
from rxstream.operators.signal.rms import rms
from rxstream.operators.signal.sosfilt import sosfilt
from rxstream.operators.signal.spectrogram import spectrogram
from rxstream.operators.values.calibrate import calibrate
from rxstream.operators.values.decode_can import decode_can
from rxstream.operators.values.map_data import map_data
from rxstream.operators.values.samples import Sample, samples
from rxstream.operators.values.scan_data import scan_data
from rxstream.operators.values.select import select

__all__ = [
    "JoinedWindow",
    "Sample",
    "Unmatched",
    "align",
    "calibrate",
    "capture",
    "decimate",
    "decode_can",
    "detect_gaps",
    "fill_gaps",
    "filter_band",
    "gaps",
    "gate",
    "ignore_gaps",
    "join_windows",
    "latest",
    "map_async",
    "map_data",
    "map_parallel",
    "merge_by_time",
    "meter",
    "on_lag",
    "onset",
    "rechunk",
    "replay_window",
    "resample",
    "rewind",
    "rms",
    "samples",
    "scan_data",
    "select",
    "sessions",
    "sosfilt",
    "spectrogram",
    "timestamp_correct",
    "window_by_time",
]
