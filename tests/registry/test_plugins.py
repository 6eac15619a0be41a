"""Devices of other packages that fail, or end the program, when they are loaded or made."""

from pathlib import Path

import pytest
from plugins import BROKEN, install_plugins

import rxstream
from rxstream.devices.simulated import Simulated
from rxstream.errors import DeviceError, ParameterError
from rxstream.registry.catalog import list_devices
from rxstream.registry.entry_points import source_class


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    good = install_plugins(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return good


@pytest.mark.parametrize("name", BROKEN)
def test_one_that_cannot_be_opened_is_named(installed: list[str], name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        rxstream.open(name)
    text = str(caught.value)
    assert BROKEN[name][2] in text
    assert name in text
    assert text.isprintable()
    if name not in ("no_info", "wrong_info", "info_raises", "made_exits"):
        assert "broken-devices" in text


def test_the_others_are_listed_beside_it(installed: list[str]) -> None:
    listings = {item.name: item for item in list_devices()}
    assert {*installed, *BROKEN, "simulated", "audio"} <= set(listings)
    for name in ("missing", "exits", "raises", "base", "cancelled", "syntax", "number"):
        assert BROKEN[name][2] in listings[name].problem
        assert not listings[name].found
    assert listings["looks_and_exits"].problem == "SystemExit: 4"
    assert "its discover() gives 5; it must give" in listings["junk"].problem
    assert not listings["simulated"].problem
    assert all(
        item.problem.isprintable() and item.about.isprintable() for item in listings.values()
    )
    # what opens it stays as it is
    assert listings["evil"].found[0].options["device"].startswith("evil\x1b]0;pwned\x07")


def test_nobody_takes_the_place_of_ours(installed: list[str]) -> None:
    assert source_class("simulated") is Simulated


@pytest.mark.parametrize("spec", [None, 5, b"audio", ["audio"], Simulated, Simulated()])
def test_a_name_is_text(spec: object) -> None:
    with pytest.raises(ParameterError, match="a device is opened by its name"):
        rxstream.open(spec)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "option", ["rate=" + "(" * 10_000, "shape=" + "[" * 10_000, "rate=" + "9" * 10_000, "rate=\x1b"]
)
def test_a_value_is_read_or_refused_whatever_it_is(option: str) -> None:
    with pytest.raises(ParameterError) as caught:
        rxstream.open("simulated:" + option)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
