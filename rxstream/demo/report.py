"""The report of the demo: what was stored and lost, how true the times were, who was behind."""

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
from rxstream.demo.readers import JOBS, Readers
from rxstream.devices.simulated import Truth
from rxstream.display.console import format_count, format_duration, format_lag, plain_table
from rxstream.printable import printable

__all__ = ["Outcome", "TimeError", "judge", "print_report", "time_error", "truly_lost"]

# Uncertainty of the time for which a cable was pulled: the device looks for it this often [s].
_CABLE = 0.1


class TimeError(NamedTuple):
    """Absolute error of the times of samples [s]."""

    median: float
    p95: float


@dataclass(frozen=True)
class Outcome:
    """Result of one device.

    Attributes
    ----------
    readers
        Its readers.
    stats
        Its statistics after the close.
    unplugged
        Samples lost while it was unplugged; None if their number is unknown.
    error
        Error of its times, where the truth is known.
    problems
        What should not have been, each in a line.
    """

    readers: Readers
    stats: Stats
    unplugged: int | None
    error: TimeError | None
    problems: tuple[str, ...]


def time_error(device: Device, truth: Truth, received: int) -> TimeError | None:
    """Compare the times of the samples in the window of a simulated device with the truth.

    Parameters
    ----------
    device
        The device.
    truth
        The truth of its source.
    received
        Number of samples that it has received in all.
    """
    chunks: list[Chunk] = []
    device.past().subscribe(chunks.append)
    times = np.concatenate([np.empty(0, np.int64), *(chunk.time for chunk in chunks)])
    if not len(times):
        return None
    numbers = np.arange(received - len(times), received)
    errors = np.abs(times - truth.time(_true_numbers(numbers, truth))) / 1e9
    median, p95 = np.quantile(errors, (0.5, 0.95)).tolist()
    return TimeError(median, p95)


def _true_numbers(received: NDArray[np.int64], truth: Truth) -> NDArray[np.int64]:
    """Return the true numbers of samples ``(n,)`` by their numbers among those received."""
    numbers = received.copy()
    for first, samples in truth.lost:
        numbers[numbers >= first] += samples
    return numbers


def truly_lost(truth: Truth, received: int) -> int:
    """Return the true number of samples lost before the last of those received.

    What was lost after it is out of sight, and does not count.
    """
    total = 0
    for first, samples in truth.lost:
        if first - total < received:
            total += samples
    return total


def judge(readers: Readers) -> Outcome:
    """Judge a device and its readers, when all is closed."""
    source = readers.input
    stats = source.device.stats()
    cable = [gap.lost for gap in readers.gaps if gap.reason == "disconnect"]
    known = [lost for lost in cable if lost is not None]
    unplugged = sum(known) if len(known) == len(cable) else None
    error = None
    if source.simulated is not None:
        error = time_error(source.device, source.simulated.truth, stats.flow.samples)
    return Outcome(
        readers, stats, unplugged, error, tuple(_problems(readers, stats, sum(known), len(cable)))
    )


def _problems(readers: Readers, stats: Stats, unplugged: int, cable: int) -> list[str]:
    title, flow, found = readers.input.title, stats.flow, list[str]()
    more = flow.lost - unplugged
    if more or flow.gaps > cable:
        found.append(f"{title}: {format_count(more)} samples were lost by the device")
    simulated = readers.input.simulated
    # Of a stream without a rate nobody knows how many were lost while the cable was out.
    if simulated is not None and (flow.lost or not cable):
        silent = truly_lost(simulated.truth, flow.samples) - flow.lost
        if silent > cable * _CABLE * (flow.nominal or 0.0):
            found.append(f"{title}: {format_count(silent)} samples were lost without a word")
    if readers.gone:
        found.append(f"{title}: it was lost, and did not come back")
    for job, sink in readers.sinks.items():
        if sink.error is not None:
            found.append(f"{title}, {job}: {sink.error}")
        if readers.skipped[job] and job != "showing":
            missed = format_count(readers.skipped[job])
            found.append(f"{title}, {job}: too slow, {missed} samples missed")
    store = readers.sinks["storing"]
    missing = flow.samples - store.samples
    if missing and store.error is None:
        found.append(f"{title}: {format_count(missing)} samples came, but were not stored")
    if flow.samples == 0 and simulated is not None:
        found.append(f"{title}: nothing came")
    return found


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
        Where to print.
    outcomes
        One for each device.
    start
        Start of the demo [ns].
    files
        The files, each with its content in words.
    more
        Problems beside those of the devices.
    """
    console.print(_samples(outcomes))
    if any(outcome.error is None for outcome in outcomes):
        console.print("? a real device does not know the truth", style="dim")
    console.print(_lags(outcomes))
    slow = [(o.readers, job) for o in outcomes for job in JOBS if o.readers.is_slow(job)]
    well = not any(r.skipped[job] or r.sinks[job].error is not None for r, job in slow)
    text = "* slow on purpose" + ("; it got everything all the same" if well else "")
    console.print(text, style="dim")
    console.print("\nWhat the analyses found", style="bold")
    for outcome in outcomes:
        found = outcome.readers.analysis.found(start)
        console.print(Text(f"{outcome.readers.input.title:<12}{found}"))
    _print_files(console, files)
    problems = [problem for outcome in outcomes for problem in outcome.problems] + [*more]
    console.print()
    if not problems:
        console.print("Nothing was lost except on purpose.", style="bold green")
    for problem in problems:
        text = f"PROBLEM: {printable(problem)}"
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
    width = max(len(path.name) for path, _ in files)
    for path, what in files:
        line = Text.assemble(f"{path.name:<{width}}  ", (what, "dim"))
        console.print(line, soft_wrap=True)


def _samples(outcomes: Sequence[Outcome]) -> Table:
    table = plain_table(
        "device", "stored", "lost", "truly lost", "time error", "95 % below",
        title="\nSamples", title_style="bold",
    )  # fmt: skip
    table.add_column("lost when")
    for outcome in outcomes:
        error, flow, simulated = outcome.error, outcome.stats.flow, outcome.readers.input.simulated
        truth = format_count(truly_lost(simulated.truth, flow.samples)) if simulated else "?"
        table.add_row(
            outcome.readers.input.title,
            format_count(outcome.readers.sinks["storing"].samples),
            "unknown" if outcome.unplugged is None else format_count(flow.lost),
            truth,
            *(map(format_duration, error) if error else ("?", "?")),
            "unplugged" if outcome.unplugged != 0 else "",
        )
    return table


def _lags(outcomes: Sequence[Outcome]) -> Table:
    table = plain_table(
        "device", *JOBS, title="\nHow far each reader was behind, at most", title_style="bold",
    )  # fmt: skip
    for outcome in outcomes:
        readers = outcome.readers
        lags = (
            f"{format_lag(lag)} {'*' if readers.is_slow(job) else ' '}"
            for job, lag in readers.lags.items()
        )
        table.add_row(readers.input.title, *lags)
    return table
