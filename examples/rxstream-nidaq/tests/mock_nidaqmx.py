"""A mock of the calls of ``nidaqmx`` that are used: a board with two inputs, without a driver.

NI's driver cannot be installed without a board. This mock has no opinion of its own about what a
board does: sample ``k`` is ``k`` on each input, paced by the clock of the computer, and the errors
are those that NI's documentation names.
"""

import sys
import time
from enum import Enum
from types import ModuleType, SimpleNamespace

INPUTS = ("Dev1/ai0", "Dev1/ai1")


class DAQmxErrors(Enum):
    """Numbers of errors, as NI has them."""

    PAL_RESOURCE_RESERVED = -50103
    PHYSICAL_CHAN_DOES_NOT_EXIST = -200170
    DEV_CANNOT_BE_ACCESSED = -201003


class AcquisitionType(Enum):
    """Whether a task ends by itself."""

    FINITE = 10178
    CONTINUOUS = 10123


class DaqError(Exception):
    """What the driver raises."""

    def __init__(self, message, error_code, task_name=""):
        super().__init__(message)
        self.error_type = DAQmxErrors(error_code)


class DaqNotFoundError(Exception):
    """Raised where there is no driver."""


class Board:
    """State of the only board."""

    plugged = True
    task: "Task | None" = None
    driver = True


class InStream:
    """What has come of a task."""

    def __init__(self, task):
        self._task, self.curr_read_pos = task, 0

    @property
    def avail_samp_per_chan(self):
        if not Board.plugged:
            raise DaqError("Device cannot be accessed.", DAQmxErrors.DEV_CANNOT_BE_ACCESSED.value)
        elapsed = time.monotonic() - self._task.started
        return int(elapsed * self._task.timing.samp_clk_rate) - self.curr_read_pos


class Timing:
    """The sample clock, which has whole divisors of 100 kHz."""

    samp_clk_rate = 0.0

    def cfg_samp_clk_timing(
        self, rate, source="", active_edge=None, sample_mode=AcquisitionType.FINITE,
        samps_per_chan=1000,
    ):  # fmt: skip
        assert sample_mode is AcquisitionType.CONTINUOUS
        self.samp_clk_rate = 100_000 / round(100_000 / rate)


class Channels:
    """Inputs of a task."""

    def __init__(self):
        self.names = []

    def add_ai_voltage_chan(
        self, physical_channel, name_to_assign_to_channel="", terminal_config=None, min_val=-5.0,
        max_val=5.0, units=None, custom_scale_name="",
    ):  # fmt: skip
        if physical_channel not in INPUTS or not Board.plugged:
            message = f"Physical channel specified does not exist: {physical_channel}"
            raise DaqError(message, DAQmxErrors.PHYSICAL_CHAN_DOES_NOT_EXIST.value)
        self.names.append(physical_channel)


class Task:
    """A measurement."""

    def __init__(self, new_task_name=""):
        if not Board.driver:
            raise DaqNotFoundError("Could not find an installation of NI-DAQmx.")
        self.ai_channels, self.timing, self.started = Channels(), Timing(), 0.0
        self.in_stream = InStream(self)

    def start(self):
        if Board.task is not None:
            raise DaqError("Resource is reserved.", DAQmxErrors.PAL_RESOURCE_RESERVED.value)
        Board.task, self.started = self, time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if Board.task is self:
            Board.task = None


class AnalogMultiChannelReader:
    """Reads a task."""

    def __init__(self, task_in_stream):
        self._stream = task_in_stream

    def read_many_sample(self, data, number_of_samples_per_channel=-1, timeout=10.0):
        first = self._stream.curr_read_pos
        data[:] = range(first, first + number_of_samples_per_channel)
        self._stream.curr_read_pos += number_of_samples_per_channel
        return number_of_samples_per_channel


class System:
    """The boards of a computer."""

    @staticmethod
    def local():
        inputs = [SimpleNamespace(name=name) for name in INPUTS]
        board = SimpleNamespace(name="Dev1", product_type="USB-6001", ai_physical_chans=inputs)
        return SimpleNamespace(devices=[board])


def install(monkeypatch):
    """Put it where ``nidaqmx`` is looked for."""
    modules = {
        "nidaqmx": {"Task": Task},
        "nidaqmx.constants": {"AcquisitionType": AcquisitionType},
        "nidaqmx.errors": {"DaqError": DaqError, "DaqNotFoundError": DaqNotFoundError},
        "nidaqmx.stream_readers": {"AnalogMultiChannelReader": AnalogMultiChannelReader},
        "nidaqmx.system": {"System": System},
    }
    for name, contents in modules.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
