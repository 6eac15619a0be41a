"""Recordings of Lab Streaming Layer: times by rxstream beside pyxdf's line.

python benchmarks/timing/timestamps.py --xdf FILE ...        (needs: pip install pyxdf)

Nobody knows when these samples were taken. What can be said: a time cannot lie after its arrival,
and a clock that is followed well gives times that keep near below the arrivals. The table has the
distance of the times from the arrivals, less its median: 95 % and the largest, and how far the
latest time lies after its arrival. The stamps are those of the file, with the clocks synchronized;
each is the arrival of one sample. pyxdf's line is `load_xdf(dejitter_timestamps=True)`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.timing.recorded.arrays import correct_arrays
from timing.score import markdown, spelled

__all__ = ["report"]

# Samples from which there is something to see.
_LEAST = 100

Floats = NDArray[np.float64]


def report(paths: list[Path]) -> str:
    """Return the table of all streams with a rate; leave with a message where pyxdf is missing."""
    try:
        import pyxdf
    except ImportError:
        sys.exit("pyxdf is not installed: pip install pyxdf")
    rows = []
    for path in paths:
        raw = _streams(pyxdf, path, dejitter=False)
        line = _streams(pyxdf, path, dejitter=True)
        for key, (name, rate, stamps) in raw.items():
            title = f"{path.name}, {name}"
            if not rate or len(stamps) < _LEAST:
                print(f"{title}: left out, {len(stamps)} samples at {rate:g} Hz")
                continue
            rows += _rows(title, rate, stamps, line[key][2])
    heads = ["stream", "stated", "times by", "95 %", "largest", "latest after arrival", "reported"]
    return markdown(heads, rows)


def _streams(pyxdf: Any, path: Path, *, dejitter: bool) -> dict[int, tuple[str, float, Floats]]:
    """Return name, nominal rate [Hz] and stamps [s] of each stream by its id."""
    streams, _ = pyxdf.load_xdf(str(path), dejitter_timestamps=dejitter, verbose=False)
    return {
        int(stream["info"]["stream_id"]): (
            str(stream["info"]["name"][0]), float(stream["info"]["nominal_srate"][0]),
            np.asarray(stream["time_stamps"], float),
        )
        for stream in streams
    }  # fmt: skip


def _rows(title: str, rate: float, stamps: Floats, line: Floats) -> list[list[str]]:
    begin = stamps[0]
    arrival = np.rint((np.maximum.accumulate(stamps) - begin) * 1e9).astype(np.int64)
    rows = []
    for name, online in (("rxstream live", True), ("rxstream offline", False)):
        found = correct_arrays(1, arrival, rate, online=online)
        kinds = [event.kind for event in found.events]
        reported = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        lost = sum(event.samples or 0 for event in found.events if event.kind == "gap")
        reported += f", {lost} samples lost" if lost else ""
        rows.append([name, *_distances(found.last / 1e9, arrival / 1e9), reported or "–"])
    rows.append(["pyxdf", *_distances(line - begin, arrival / 1e9), "–"])
    rows.append(["arrival", *_distances(arrival / 1e9, arrival / 1e9), "–"])
    return [[title, f"{rate:g} Hz", *row] for row in rows]


def _distances(times: Floats, arrival: Floats) -> list[str]:
    away = arrival - times
    about = np.abs(away - np.median(away)) * 1e6
    after = float(max(-away.min(), 0.0)) * 1e6 + 0.0
    return [spelled(float(np.quantile(about, 0.95))), spelled(float(about.max())), spelled(after)]
