"""The demo while it runs: a live table on a terminal, plain lines elsewhere."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rxstream.data.clock import now_ns
from rxstream.demo.inputs import Input
from rxstream.demo.readers import Readers
from rxstream.demo.story import Plan
from rxstream.display.console import format_count, format_lag, plain_table
from rxstream.printable import MAX_NAME, printable

__all__ = ["Display", "introduce"]

# Between lines where there is no terminal [s].
_LINE_INTERVAL = 1.0
# Longest line that stays [characters]; it may hold what a driver says.
_MAX_LINE = 500


class Display(logging.Handler):
    """Shows the devices and their readers, and what the library logs.

    Parameters
    ----------
    console
        Where to show it.
    seconds
        Length of the demo.
    """

    def __init__(self, console: Console, seconds: float) -> None:
        super().__init__(logging.WARNING)
        self._console, self._seconds = console, seconds
        self._live: Live | None = None
        # the terminal is gone: files matter more than what nobody sees
        self._blind = False
        # The next line is due at this time, where there is no terminal [s].
        self._start, self._due = now_ns(), _LINE_INTERVAL

    @property
    def _now(self) -> float:
        """Time since the start [s]."""
        return (now_ns() - self._start) / 1e9

    def __enter__(self) -> Self:
        logging.getLogger("rxstream").addHandler(self)
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        logging.getLogger("rxstream").removeHandler(self)
        if self._live is not None:
            with suppress(OSError):
                self._live.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Show what the library logs."""
        self.say(record.getMessage())

    def say(self, text: str) -> None:
        """Show a line that stays."""
        line = Text.assemble((f"{self._now:5.1f} s  ", "bold cyan"), printable(text, _MAX_LINE))
        if not self._blind:
            try:
                self._console.print(line, soft_wrap=True)
            except OSError:
                self._blind = True

    def update(self, devices: Sequence[Readers]) -> None:
        """Show the devices as they are now."""
        if self._live is not None and not self._blind:
            try:
                self._live.update(Group(_table(devices), self._progress()), refresh=True)
            except OSError:
                self._blind = True
        elif self._now >= self._due:
            self._due = self._now + _LINE_INTERVAL
            counts = (
                f"{readers.input.title} {format_count(readers.input.device.stats().flow.samples)}"
                for readers in devices
            )
            self.say(f"samples so far: {', '.join(counts)}")

    def _progress(self) -> Table:
        bar = Table.grid(padding=(0, 1))
        done = min(self._now, self._seconds)
        bar.add_row(
            ProgressBar(total=self._seconds, completed=done, width=50),
            f"{done:4.1f} of {self._seconds:g} s",
        )
        return bar


def introduce(console: Console, plan: Plan, inputs: Sequence[Input]) -> None:
    """Say what is going to happen."""
    console.print(
        f"[bold]rxstream demo[/]: {len(inputs)} devices for {plan.seconds:g} s, each read three "
        "times at once:\nstored in a file, analysed, and shown here.\n",
        highlight=False,
    )
    for item in inputs:
        why = f" ({printable(item.reason, _MAX_LINE)})" if item.reason else ""
        source = printable(item.source, MAX_NAME)
        console.print(Text.assemble(f"  {item.title:<12}{source}", (why, "dim")))
    console.print("\nThe camera's analysis is slow on purpose: nobody else should notice.")
    if not any(item.key == "microphone" and item.simulated for item in inputs):
        console.print(
            f"Clap your hands between {plan.before:.3g} s and {plan.bang:.3g} s: the demo will "
            f"save the {plan.before:.3g} s before it.",
            highlight=False,
        )
    console.print()


def _table(devices: Sequence[Readers]) -> Table:
    table = plain_table("device")
    table.add_column("shown", width=20, no_wrap=True)
    table.add_column("analysed", width=13, no_wrap=True)
    for name, width in (("samples", 9), ("lost", 7), ("behind", 7)):
        table.add_column(name, justify="right", width=width, no_wrap=True)
    for readers in devices:
        device = readers.input.device
        stats = device.stats()
        shown = readers.shown if device.state != "lost" else "[red]unplugged[/]"
        lag = max((s.lag for s in stats.subscribers if s.policy == "gap"), default=0.0)
        table.add_row(
            readers.input.title, shown, readers.analysis.now, format_count(stats.flow.samples),
            format_count(stats.flow.lost), format_lag(lag),
        )  # fmt: skip
    return table
