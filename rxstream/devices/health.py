"""health: how busy the computer, or a process, is (extra ``health``)."""

import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rxstream.authoring import DeviceInfo, DeviceNotFoundError, source
from rxstream.data.clock import Duration
from rxstream.errors import ParameterError
from rxstream.optional import import_optional
from rxstream.printable import shown

__all__ = ["Health"]

_COMPUTER = {
    "cpu": "%", "cores": "%", "frequency": "MHz", "memory": "%", "memory_used": "B", "swap": "%",
    "disk_read": "B/s", "disk_written": "B/s", "net_received": "B/s", "net_sent": "B/s",
    "temperature": "°C", "battery": "%", "processes": "",
}  # fmt: skip
_PROCESS = {
    "cpu": "%", "memory": "%", "memory_used": "B", "threads": "", "files": "", "read": "B/s",
    "written": "B/s",
}  # fmt: skip


_CORES = os.cpu_count() or 1


def _units(options: Any) -> dict[str, str]:
    return _COMPUTER if options.process is None else _PROCESS


def _checked(options: Any) -> dict[str, Any]:
    process = options.process
    if not process.strip() if isinstance(process, str) else process is not None and process < 0:
        msg = (
            "Health: process must be the number of a process, its name, or None for the computer, "
            f"not {shown(process)}"
        )
        raise ParameterError(msg)
    return {"units": _units(options)}


def _dtype(options: Any) -> np.dtype[Any]:
    cores = {"cores": ("f4", (_CORES,))}
    return np.dtype([(name, *cores.get(name, ("f8",))) for name in _units(options)])


def _here() -> list[DeviceInfo]:
    return [DeviceInfo("this computer", {}, f"{_CORES} cores")]


@source(
    every=lambda options: options.every, dtype=_dtype, requires="rxstream[health]",
    extra=_checked, discover=_here,
)  # fmt: skip
def Health(  # noqa: N802 - it becomes a class
    every: Duration = 1.0, process: int | str | None = None
) -> Iterator[Any]:
    """How busy the computer is, or a process: asked every so often, so without a rate.

    A sample has a field for each value, whose unit is in ``info.extra["units"]``; NaN: this
    computer does not say. Loads and rates are means since the last sample, NaN in the first one;
    the others are of the moment.

    Of the computer: ``cpu``, of each of the ``cores``, ``memory``, ``swap`` [%], ``memory_used``
    [B], ``frequency`` [MHz], ``disk_read``, ``disk_written``, ``net_received``, ``net_sent``
    [B/s], ``temperature``, the highest [°C], ``battery`` [%], the number of ``processes``.

    Of a process: ``cpu`` (100 % is one core), ``memory`` [%], ``memory_used`` [B], ``read``,
    ``written`` [B/s], the numbers of its ``threads`` and open ``files``. As it ends, the device is
    lost; with ``reconnect`` one of that name that is started later goes on after a gap.

    Attributes
    ----------
    every
        Time from one sample to the next [s].
    process
        Number of a process, or its name; of several with one name it is the oldest. None: the
        computer.

    Examples
    --------
    >>> Health(every=0.5).info.extra["units"]["memory_used"]
    'B'
    >>> Health(process=os.getpid()).info.dtype.names[:3]
    ('cpu', 'memory', 'memory_used')
    """
    psutil = import_optional("psutil", extra="health")
    read = _computer(psutil) if process is None else _process(psutil, process)
    read()  # loads and rates begin here
    yield
    yield read() | _no_means(process)
    while True:
        yield read()


def _no_means(process: int | str | None) -> dict[str, Any]:
    """Return NaN for what is a mean over time."""
    units = _COMPUTER if process is None else _PROCESS
    means = {name: math.nan for name, unit in units.items() if unit == "B/s" or name == "cpu"}
    return means | ({"cores": np.full(_CORES, np.nan, "f4")} if process is None else {})


def _computer(psutil: Any) -> Callable[[], dict[str, Any]]:
    """Return a function that returns a sample of the computer."""
    rates = _Rates()

    def read() -> dict[str, Any]:
        cores = np.array(psutil.cpu_percent(percpu=True), "f4")
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        disk, net = psutil.disk_io_counters(), psutil.net_io_counters()
        return {
            "cpu": float(cores.mean()), "cores": cores, "frequency": _frequency(psutil),
            "memory": memory.percent, "memory_used": float(memory.used), "swap": swap.percent,
            "temperature": _temperature(psutil), "battery": _battery(psutil),
            "processes": float(len(psutil.pids())),
        } | rates.of({
            "disk_read": getattr(disk, "read_bytes", math.nan),
            "disk_written": getattr(disk, "write_bytes", math.nan),
            "net_received": getattr(net, "bytes_recv", math.nan),
            "net_sent": getattr(net, "bytes_sent", math.nan),
        })  # fmt: skip

    return read


def _process(psutil: Any, wanted: int | str) -> Callable[[], dict[str, Any]]:
    """Return a function that returns a sample of a process."""
    process, rates = _found(psutil, wanted), _Rates()

    def count(ask: Callable[[], Any]) -> float:
        try:
            return float(ask())
        except (psutil.AccessDenied, AttributeError):  # of somebody else; not on this system
            return math.nan

    def read() -> dict[str, Any]:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(process.pid)
            with process.oneshot():
                return {
                    "cpu": process.cpu_percent(), "memory": process.memory_percent(),
                    "memory_used": float(process.memory_info().rss),
                    "threads": float(process.num_threads()),
                    "files": count(lambda: process.num_fds()),
                } | rates.of({
                    "read": count(lambda: process.io_counters().read_bytes),
                    "written": count(lambda: process.io_counters().write_bytes),
                })  # fmt: skip
        except psutil.NoSuchProcess as error:
            msg = f"the process {wanted} has ended"
            raise ProcessLookupError(msg) from error

    return read


def _found(psutil: Any, wanted: int | str) -> Any:
    """Return a process by its number or name."""
    if isinstance(wanted, str):
        named = [one for one in psutil.process_iter(["name"]) if one.info["name"] == wanted]
        running = [one for one in named if _is_running(psutil, one)]
        if running:
            return min(running, key=lambda one: one.create_time())
    else:
        try:
            return psutil.Process(int(wanted))
        except (psutil.NoSuchProcess, ValueError, OverflowError):
            pass
    remedy = "give the name that ps shows" if isinstance(wanted, str) else "see ps"
    msg = f"health: no process {wanted} is running; {remedy}"
    raise DeviceNotFoundError(msg)


def _is_running(psutil: Any, process: Any) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class _Rates:
    """Rates of counters since they were asked last."""

    def __init__(self) -> None:
        self._at = math.nan
        self._last: dict[str, float] = {}

    def of(self, counters: dict[str, float]) -> dict[str, float]:
        """Return the rate of each counter [1/s]; NaN where it began anew, or is asked first."""
        now = time.perf_counter()
        span, last = now - self._at, self._last
        self._at, self._last = now, counters
        rates = {}
        for name, value in counters.items():
            step = value - last.get(name, math.nan)
            rates[name] = step / span if step >= 0 and span > 0 else math.nan
        return rates


def _frequency(psutil: Any) -> float:
    frequency = getattr(psutil, "cpu_freq", lambda: None)()
    return math.nan if frequency is None else float(frequency.current)


def _temperature(psutil: Any) -> float:
    sensors: dict[str, Any] = getattr(psutil, "sensors_temperatures", dict)()
    found = [sensor.current for kind in sensors.values() for sensor in kind]
    return float(max(found, default=math.nan))


def _battery(psutil: Any) -> float:
    battery = getattr(psutil, "sensors_battery", lambda: None)()
    return math.nan if battery is None else float(battery.percent)
