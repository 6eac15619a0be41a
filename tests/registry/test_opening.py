"""Devices by name, ours and others'."""

import re

import pytest

import rxstream
from rxstream.errors import DeviceNotFoundError, ParameterError
from rxstream.registry.entry_points import device_names, source_class
from rxstream.registry.spec import make_source


def test_ours_are_registered_as_others_would_be() -> None:
    assert {"audio", "camera", "can", "simulated"} <= set(device_names())
    for name in ("audio", "camera", "can", "simulated"):
        assert source_class(name).__name__ == name.capitalize()


def test_open_by_name() -> None:
    with rxstream.open("simulated", rate=1000.0, history=5) as device, device.reader() as reader:
        chunk = reader.read(50, timeout=10)
        assert chunk is not None
        assert chunk.rate == 1000.0


def test_options_may_be_text_and_keywords() -> None:
    with rxstream.open("simulated:rate=1000,shape=2", dtype="int16", name="left") as device:
        assert device.name == "left"
        assert device.state == "open"
        assert (device.info.rate, device.info.shape, device.info.dtype) == (1000.0, (2,), "int16")


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(DeviceNotFoundError, match=r"'microfone'.*audio.*camera"):
        rxstream.open("microfone")


def test_an_unknown_option_lists_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"speed.*rate"):
        rxstream.open("simulated", speed=3)


def test_a_misspelt_option_is_explained_alike_as_text_and_as_keyword() -> None:
    with pytest.raises(ParameterError, match=r"no option 'rat'; did you mean rate\?") as keyword:
        rxstream.open("simulated", rat=1)
    with pytest.raises(ParameterError, match=re.escape(str(keyword.value))):
        rxstream.open("simulated:rat=1")
    assert "_" not in str(keyword.value).replace("device_clock", "")


def test_an_option_that_is_given_twice_is_refused() -> None:
    for spec, options in (("simulated:rate=1,rate=2", {}), ("simulated:rate=1", {"rate": 2.0})):
        with pytest.raises(ParameterError, match="simulated: rate is given twice"):
            rxstream.open(spec, **options)


def test_a_wrong_value_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(rate: float = 1.0) -> None:
        msg = f"no such rate, {rate}"
        raise ValueError(msg)

    monkeypatch.setattr("rxstream.registry.spec.source_class", lambda _: plain)
    with pytest.raises(ParameterError, match=r"thermometer: no such rate, 3"):
        make_source("thermometer:rate=3")
    with pytest.raises(ParameterError, match=r"thermometer: .*'speed'"):
        make_source("thermometer", {"speed": 3})
