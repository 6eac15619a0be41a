"""How the demo went: what was stored and lost, how true the times were, who was behind."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rxstream.acquisition.device import Device
from rxstream.acquisition.stats import Stats
from rxstream.data.chunk import Chunk
from rxstream.demo.readers import Reader, Readers
from rxstream.devices.simulated import Truth

__all__ = [
    "Outcome",
    "TimeError",
    "count",
    "judge",
    "lag_text",
    "print_report",
    "short_time",
    "time_error",
    "truly_lost",
]


_CABLE = 0.1  # how well it is known for how long a cable was pulled [s]


class TimeError(NamedTuple):
    """How far the times of samples are from the truth, regardless of the sign [s]."""

    median: float
    p95: float


@dataclass(frozen=True)
class Outcome:
    """How one device fared.

    Attributes
    ----------
    readers
        Of the device.
    stats
        After its close.
    unplugged
        Samples lost while it was unplugged; None: their number is unknown.
    error
        Of its times, where the truth is known.
    problems
        What should not have been, each in a line.
    """

    readers: Readers
    stats: Stats
    unplugged: int | None
    error: TimeError | None
    problems: tuple[str, ...]


def time_error(device: Device, truth: Truth, received: int) -> TimeError | None:
    """Compare the times of the samples in the window of a device with its twin's truth.

    Parameters
    ----------
    device
        That gives what the twin gives.
    truth
        Of the twin.
    received
        Samples that have come in all.
    """
    chunks: list[Chunk] = []
    device.past().subscribe(chunks.append)
    chunks = [chunk for chunk in chunks if len(chunk)]
    if not chunks:
        return None
    times = np.concatenate([chunk.time for chunk in chunks])
    place = np.arange(received - len(times), received)
    errors = np.abs(times - truth.time(_true_numbers(place, truth))) / 1e9
    median, p95 = np.quantile(errors, (0.5, 0.95)).tolist()
    return TimeError(median, p95)


def _true_numbers(place: NDArray[np.int64], truth: Truth) -> NDArray[np.int64]:
    """Return the true numbers of the samples that came as number ``place`` ``(n,)``."""
    numbers = place.copy()
    for first, samples in truth.lost:
        numbers[numbers >= first] += samples
    return numbers


def judge(readers: Readers) -> Outcome:
    """Look what became of a device and its readers, when all is closed."""
    source = readers.input
    stats = source.device.stats()
    cable = [gap.lost for gap in readers.gaps if gap.reason == "disconnect"]
    known = [lost for lost in cable if lost is not None]
    unplugged = sum(known) if len(known) == len(cable) else None
    error = None
    if source.twin is not None:
        error = time_error(source.device, source.twin.truth, stats.samples)
    return Outcome(
        readers, stats, unplugged, error, tuple(_problems(readers, stats, sum(known), len(cable)))
    )


def truly_lost(truth: Truth, received: int) -> int:
    """Return how many samples were lost before the last of those received, by the truth.

    What was lost after it nobody can tell, so it does not count.
    """
    total = 0
    for first, samples in truth.lost:
        if first - total < received:
            total += samples
    return total


def _problems(readers: Readers, stats: Stats, unplugged: int, cable: int) -> list[str]:
    title, found = readers.input.title, []
    more = stats.lost - unplugged
    if more or stats.gaps > cable:
        found.append(f"{title}: {count(more)} samples were lost by the device")
    twin, rate = readers.input.twin, stats.nominal or 0.0
    if twin is not None and (stats.lost or not cable):  # else their number is unknown
        silent = truly_lost(twin.truth, stats.samples) - stats.lost
        if silent > cable * _CABLE * rate:
            found.append(f"{title}: {count(silent)} samples were lost without a word")
    if readers.gone:
        found.append(f"{title}: it was lost, and did not come back")
    for reader in readers.all:
        error = reader.sink.error
        if error is not None:
            found.append(f"{title}, {_what(reader)}: {error}")
        if reader.skipped and reader is not readers.show:
            found.append(
                f"{title}, {_what(reader)}: too slow, {count(reader.skipped)} samples missed"
            )
    missing = stats.samples - readers.store.sink.samples
    if missing and readers.store.sink.error is None:
        found.append(f"{title}: {count(missing)} samples came, but were not stored")
    if stats.samples == 0 and readers.input.twin is not None:
        found.append(f"{title}: nothing came")
    return found


def _what(reader: Reader) -> str:
    return {"store": "storing", "analyse": "analysing", "show": "showing"}[
        reader.name.rsplit("-", 1)[1]
    ]


def count(number: float) -> str:
    """Return a whole number with thin groups, for people.

    Examples
    --------
    >>> count(1234567)
    '1 234 567'
    """
    return f"{number:,.0f}".replace(",", " ")


def short_time(seconds: float) -> str:
    """Return a duration in the unit that fits.

    Examples
    --------
    >>> short_time(0.0000123), short_time(0.0123), short_time(1.23)
    ('12 µs', '12 ms', '1.2 s')
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:.{1 if seconds < 9.95e-6 else 0}f} µs"
    if seconds < 0.1:
        return f"{seconds * 1e3:.{1 if seconds < 9.95e-3 else 0}f} ms"
    return f"{seconds:.1f} s"


def lag_text(seconds: float) -> str:
    """Return how far a reader is behind; less than a millisecond is nothing.

    Examples
    --------
    >>> lag_text(0.0), lag_text(4.84)
    ('< 1 ms', '4.8 s')
    """
    return "< 1 ms" if seconds < 1e-3 else short_time(seconds)


def print_report(
    console: Console,
    outcomes: Sequence[Outcome],
    start: int,
    files: Sequence[tuple[Path, str]],
    more: Sequence[str] = (),
) -> bool:
    """Print tables, files, and whether all was well; return that.

    Parameters
    ----------
    console
        Where to.
    outcomes
        One for each device.
    start
        Of the demo [ns].
    files
        What was written and what it holds.
    more
        Problems beside those of the devices.
    """
    console.print(_samples(outcomes))
    if any(outcome.error is None for outcome in outcomes):
        console.print("? a real device does not know the truth", style="dim")
    console.print(_lags(outcomes))
    slow = [reader for o in outcomes for reader in o.readers.all if reader.slow]
    well = all(reader.skipped == 0 and reader.sink.error is None for reader in slow)
    text = "* slow on purpose" + ("; it got everything all the same" if well else "")
    console.print(text, style="dim")
    console.print("\nWhat the analyses found", style="bold")
    for outcome in outcomes:
        found = outcome.readers.analysis.found(start)
        console.print(f"{outcome.readers.input.title:<12}{found}", highlight=False)
    _print_files(console, files)
    problems = [problem for outcome in outcomes for problem in outcome.problems] + [*more]
    console.print()
    if not problems:
        console.print("Nothing was lost except on purpose.", style="bold green")
    for problem in problems:
        text = f"NOT AS IT SHOULD BE: {problem}"
        console.print(text, style="bold red", highlight=False, markup=False, soft_wrap=True)
    return not problems


def _print_files(console: Console, files: Sequence[tuple[Path, str]]) -> None:
    """Name the folder once, so that no line is longer than a terminal is wide."""
    console.print()
    if not files:
        return
    folder = files[0][0].parent
    title = f"Files in {folder}{os.sep}"
    console.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)
    wide = max(len(path.name) for path, _ in files)
    for path, what in files:
        line = Text.assemble(f"{path.name:<{wide}}  ", (what, "dim"))
        console.print(line, soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", box=None, pad_edge=False,
        padding=(0, 2, 0, 0), header_style="dim",
    )  # fmt: skip
    table.add_column("device", min_width=10)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _samples(outcomes: Sequence[Outcome]) -> Table:
    table = _table("Samples", "stored", "lost", "truly lost", "time error", "95 % below")
    table.add_column("lost when")
    for outcome in outcomes:
        error, stats = outcome.error, outcome.stats
        twin = outcome.readers.input.twin
        truth = "?" if twin is None else count(truly_lost(twin.truth, stats.samples))
        told = "unknown" if outcome.unplugged is None else count(stats.lost)
        table.add_row(
            outcome.readers.input.title,
            count(outcome.readers.store.sink.samples),
            told,
            truth,
            *((short_time(error.median), short_time(error.p95)) if error else ("?", "?")),
            "unplugged" if outcome.unplugged != 0 else "",
        )
    return table


def _lags(outcomes: Sequence[Outcome]) -> Table:
    table = _table("How far each reader was behind, at most", "storing", "analysing", "showing")
    for outcome in outcomes:
        readers = outcome.readers
        marks = ((reader, "*" if reader.slow else " ") for reader in readers.all)
        lags = (f"{lag_text(reader.lag)} {mark}" for reader, mark in marks)
        table.add_row(readers.input.title, *lags)
    return table
