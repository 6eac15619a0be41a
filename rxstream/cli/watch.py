"""Show how streams flow and how their readers keep up: ``rxstream watch``."""

import contextlib
from collections.abc import Sequence
from threading import Event
from typing import Self

from reactivex import abc
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rxstream.acquisition.device import Device
from rxstream.acquisition.source import is_live
from rxstream.acquisition.stats import Stats
from rxstream.data.chunk import Chunk
from rxstream.data.clock import now_ns
from rxstream.data.flow import Flow
from rxstream.display.console import format_duration, format_lag, plain_table
from rxstream.errors import DeviceError, RxStreamError
from rxstream.printable import error_line, error_text, printable
from rxstream.window.log import Policy

__all__ = ["stats_line", "stats_table", "watch"]

# Time from one look to the next [s]: a table that changes in place, or lines that pile up.
_TABLE_PERIOD, _LINES_PERIOD = 0.25, 1.0
# The name of the subscriber in the table, so that its lag is not taken for another's.
_WATCHER = "watch"
# Longest name in the table, and longest text of a fault below it [characters].
_MAX_NAME, _MAX_FAULT = 24, 200


def watch(
    console: Console,
    devices: Sequence[Device],
    seconds: float | None,
    errors: Console | None = None,
) -> int:
    """Open devices and show how they flow until the time is up, all have ended, or Ctrl-C.

    Parameters
    ----------
    console
        Where to write: a table that changes on a terminal, lines elsewhere.
    devices
        What to watch; not open yet.
    seconds
        How long [s]; None: until Ctrl-C.
    errors
        Where to say which device failed and why; by default ``console``.

    Returns
    -------
    code
        Exit code: 1 if a device failed, or is lost at the end, else 0.

    Raises
    ------
    RxStreamError
        If a device cannot be opened; whatever its driver raises.
    """
    faults: list[str] = []
    failed: dict[str, Exception] = {}
    watches = []
    try:
        for device in devices:
            watches.append(device.faults.subscribe(lambda error: faults.append(error_text(error))))
            watches.append(_subscribe(device, failed))
            _open(device)
        _look(console, devices, seconds, faults)
        # open again it is not yet
        for device in devices:
            if device.state == "lost" and device.error is not None:
                failed[device.name] = device.error
    except KeyboardInterrupt:
        pass
    finally:
        for device in devices:
            try:
                device.close(1.0)
            except RxStreamError as raised:  # by its driver: the others are closed all the same
                failed.setdefault(device.name, raised)
        for subscription in watches:
            subscription.dispose()
    for name, error in failed.items():
        why = printable(error_text(error))
        line = Text.assemble((f"{printable(name)} failed:", "red"), f" {why}")
        (errors or console).print(line, soft_wrap=True)
    return 1 if failed else 0


def _open(device: Device) -> None:
    try:
        device.open()
    except RxStreamError:
        raise
    except Exception as error:
        msg = f"{device.name} cannot be opened: {error_line(error)}"
        raise DeviceError(msg) from error


def _subscribe(device: Device, failed: dict[str, Exception]) -> abc.DisposableBase:
    def take(_chunk: Chunk) -> None:
        """Do nothing: what counts is to be a subscriber like any other."""

    def fail(error: Exception) -> None:
        failed[device.name] = error

    policy: Policy = "gap" if is_live(device.source) else "block"
    return device.on_lag(policy, name=_WATCHER).subscribe(take, fail)


def _look(
    console: Console, devices: Sequence[Device], seconds: float | None, faults: Sequence[str]
) -> None:
    begin, tick = now_ns(), Event()
    with _View(console) as view:
        while True:
            now = (now_ns() - begin) / 1e9
            over = seconds is not None and now >= seconds
            over = over or all(device.state in ("ended", "failed") for device in devices)
            view.show([device.stats() for device in devices], now, faults)
            if over:
                return
            tick.wait(view.every if seconds is None else max(0.0, min(view.every, seconds - now)))


class _View:
    """A live table on a terminal, lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._faults_shown = 0
        self.every = _LINES_PERIOD if self._live is None else _TABLE_PERIOD

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            # of a terminal that is gone
            with contextlib.suppress(OSError):
                self._live.stop()

    def show(self, streams: Sequence[Stats], seconds: float, faults: Sequence[str]) -> None:
        """Show the state of the streams ``seconds`` [s] after the beginning."""
        if self._live is not None:
            self._live.update(stats_table(streams, seconds, faults), refresh=True)
            return
        for fault in faults[self._faults_shown :]:
            self._console.print(Text(f"fault: {printable(fault)}"), soft_wrap=True)
        self._faults_shown = len(faults)
        # at the very beginning there is nothing to show yet
        for stats in streams if seconds > _TABLE_PERIOD else ():
            self._console.print(Text(stats_line(stats)), soft_wrap=True)


def stats_line(stats: Stats) -> str:
    """Return the statistics of a stream in a line of plain text."""
    flow = stats.flow
    text = (
        f"{printable(stats.name)} {stats.state}: {flow.samples} samples, {_rate(flow)}, "
        f"jitter {format_duration(flow.jitter_p99)}, {flow.lost} lost"
    )
    readers = [
        f"{printable(r.name)} {format_lag(r.lag)} behind, {r.lost} lost" for r in stats.subscribers
    ]
    return "; ".join([text, *readers])


def stats_table(streams: Sequence[Stats], seconds: float, faults: Sequence[str]) -> Table:
    """Return how streams flow as a table, with a row for each reader."""
    last = Text(f"last fault: {printable(faults[-1], _MAX_FAULT)}") if faults else None
    table = plain_table(
        "stream", width=12, title=f"{seconds:.1f} s", caption=last, caption_justify="left",
        caption_style="yellow",
    )  # fmt: skip
    table.add_column("state", min_width=6)
    for name in ("samples", "rate", "jitter", "behind", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for stats in streams:
        flow = stats.flow
        table.add_row(
            Text(printable(stats.name, _MAX_NAME), "bold"), stats.state, str(flow.samples),
            _rate(flow), format_duration(flow.jitter_p99), "", str(flow.lost),
        )  # fmt: skip
        for reader in stats.subscribers:
            table.add_row(
                Text(f"  {printable(reader.name, _MAX_NAME)}"), "[dim]reader[/]", "", "", "",
                format_lag(reader.lag), str(reader.lost),
            )  # fmt: skip
    return table


def _rate(flow: Flow) -> str:
    if flow.rate is None:
        return "measuring" if flow.samples else "nothing yet"
    if flow.nominal is None:
        return f"{flow.rate:.4g} /s"
    ppm = "" if flow.ppm is None else f" ({flow.ppm:+.0f} ppm)"
    return f"{flow.rate:.6g} Hz{ppm}"
