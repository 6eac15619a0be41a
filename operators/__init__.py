"""The rxstream operators: ``from rxstream import operators as ops``.

Everything that RxPY has works on chunks too; these know about samples, times and gaps.
"""

if __name__ == "operators":  # imported by accident from the top of a checkout
    msg = "use `from rxstream import operators as ops`"
    raise ImportError(msg)

from rxstream.operators._align import align
from rxstream.operators._align_step import Unmatched
from rxstream.operators._capture import capture
from rxstream.operators._compose import compose
from rxstream.operators._continuity import continuity
from rxstream.operators._decimate import decimate
from rxstream.operators._drop_gaps import drop_gaps
from rxstream.operators._fill_gaps import fill_gaps
from rxstream.operators._filter_band import filter_band
from rxstream.operators._gaps import gaps
from rxstream.operators._gate import gate
from rxstream.operators._join_windows import JoinedWindow, join_windows
from rxstream.operators._latest import latest
from rxstream.operators._map_async import map_async
from rxstream.operators._map_data import map_data
from rxstream.operators._map_parallel import map_parallel
from rxstream.operators._merge_by_time import merge_by_time
from rxstream.operators._meter import meter
from rxstream.operators._on_lag import on_lag
from rxstream.operators._onset import onset
from rxstream.operators._rechunk import rechunk
from rxstream.operators._replay_window import replay_window
from rxstream.operators._resample import resample
from rxstream.operators._rewind import rewind
from rxstream.operators._rms import rms
from rxstream.operators._samples import samples
from rxstream.operators._scan_data import scan_data
from rxstream.operators._select import select
from rxstream.operators._sessions import sessions
from rxstream.operators._sosfilt import sosfilt
from rxstream.operators._spectrogram import spectrogram
from rxstream.operators._timestamp_correct import timestamp_correct
from rxstream.operators._window_by_time import window_by_time

__all__ = [
    "JoinedWindow",
    "Unmatched",
    "align",
    "capture",
    "compose",
    "continuity",
    "decimate",
    "drop_gaps",
    "fill_gaps",
    "filter_band",
    "gaps",
    "gate",
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
