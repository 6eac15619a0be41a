"""Devices by name, ours and others'."""

import pytest

import rxstream
from rxstream.errors import DeviceNotFoundError, ParameterError
from rxstream.registry.entry_points import device_names, source_class


def test_ours_are_registered_as_others_would_be() -> None:
    assert {"audio", "camera", "can", "simulated"} <= set(device_names())
    for name in ("audio", "camera", "can", "simulated"):
        assert source_class(name).__name__ == name.capitalize()


def test_open_by_name() -> None:
    with rxstream.open("simulated", rate=1000.0, history=5) as twin, twin.reader() as reader:
        chunk = reader.read(50, timeout=10)
        assert chunk is not None
        assert chunk.rate == 1000.0


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(DeviceNotFoundError, match=r"'microfone'.*audio.*camera"):
        rxstream.open("microfone")


def test_an_unknown_option_lists_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"speed.*rate"):
        rxstream.open("simulated", speed=3)
