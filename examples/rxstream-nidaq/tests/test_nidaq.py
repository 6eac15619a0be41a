"""Nidaq on a mock of NI's package, since there is no board here; see ``mock_nidaqmx``."""

import inspect

import mock_nidaqmx as mock
import numpy as np
import pytest
from rxstream_nidaq import Nidaq

import rxstream
from rxstream import Device
from rxstream.errors import (
    DeviceBusyError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
)
from rxstream.registry.catalog import list_devices
from rxstream.testing import check_source


@pytest.fixture(autouse=True)
def board(monkeypatch):
    mock.install(monkeypatch)
    monkeypatch.setattr(mock.Board, "plugged", True)
    monkeypatch.setattr(mock.Board, "driver", True)


def plug(value):
    mock.Board.plugged = value


def test_it_keeps_the_rules():
    check_source(
        lambda: Nidaq(("Dev1/ai0", "Dev1/ai1")),
        unplug=lambda: plug(False), plug=lambda: plug(True),
        absent=lambda: Nidaq(("Nowhere/ai0",)), busy=lambda: Nidaq(("Dev1/ai1",)),
    )  # fmt: skip


def test_it_is_found_by_its_name_and_takes_the_rate_of_the_board():
    with (
        rxstream.open("nidaq", channels=("Dev1/ai1",), rate=3000.0) as device,
        device.reader() as reader,
    ):
        chunk = reader.read(1000, timeout=20)
    assert device.info.rate == 100_000 / 33
    assert device.info.channels == ("Dev1/ai1",)
    assert np.all(np.diff(chunk.data[:, 0]) == 1)
    assert not chunk.gaps


def test_boards_are_listed():
    (listed,) = [kind for kind in list_devices() if kind.name == "nidaq"]
    assert [found.options for found in listed.found] == [{"channels": ("Dev1/ai0",)}]


def test_what_is_in_the_way_is_said():
    with pytest.raises(DeviceNotFoundError, match="does not exist: Dev9/ai0"):
        Device(Nidaq(("Dev9/ai0",))).open()
    with Device(Nidaq(("Dev1/ai0",))), pytest.raises(DeviceBusyError, match="another task uses"):
        Device(Nidaq(("Dev1/ai1",))).open()
    mock.Board.driver = False
    with pytest.raises(MissingExtraError, match=r"get it from ni\.com"):
        Device(Nidaq(("Dev1/ai0",))).open()


@pytest.mark.parametrize("options", [{"channels": ()}, {"low": 1.0, "high": 1.0}])
def test_options_that_cannot_be(options):
    with pytest.raises(ParameterError, match=r"^nidaq: "):
        Device(Nidaq(**{"channels": ("Dev1/ai0",)} | options)).open()


def test_the_mock_has_the_calls_of_the_package(monkeypatch):
    """They have the same parameters, where nidaqmx is installed; it loads without NI's driver."""
    monkeypatch.undo()
    nidaqmx = pytest.importorskip("nidaqmx")
    from nidaqmx import constants, error_codes, errors, stream_readers, system
    from nidaqmx.task import InStream
    from nidaqmx.task.collections import AIChannelCollection

    pairs = [
        (mock.Channels.add_ai_voltage_chan, AIChannelCollection.add_ai_voltage_chan),
        (mock.Timing.cfg_samp_clk_timing, nidaqmx.task.Timing.cfg_samp_clk_timing),
        (mock.AnalogMultiChannelReader.read_many_sample,
         stream_readers.AnalogMultiChannelReader.read_many_sample),
        (mock.Task.start, nidaqmx.Task.start),
    ]  # fmt: skip
    for ours, theirs in pairs:
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        )
    for name in ("avail_samp_per_chan", "curr_read_pos"):
        assert isinstance(inspect.getattr_static(InStream, name), property)
    for mine, real in (
        (mock.DAQmxErrors, error_codes.DAQmxErrors),
        (mock.AcquisitionType, constants.AcquisitionType),
    ):
        assert all(real[item.name].value == item.value for item in mine)
    assert issubclass(errors.DaqNotFoundError, Exception)
    assert callable(system.System.local)
