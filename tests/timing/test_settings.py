"""What cannot work is refused, with the value and what would."""

import pytest

from rxstream.data.stream_info import DeviceCounter
from rxstream.errors import ParameterError
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

BAD = [
    ("rate", 0), ("rate", -1.0), ("rate", float("nan")), ("rate", float("inf")), ("rate", "48k"),
    ("rate", True), ("quantum", 0), ("quantum", 1.5), ("quantum", True), ("counter", 32),
    ("path_delay", -0.1), ("path_delay", float("inf")), ("skew", 1.0), ("skew", "fast"),
    ("skew_tol", 0), ("skew_tol", 50), ("drift", 0), ("window", (10.0,)), ("window", (0, 10)),
    ("window", (20.0, 10.0)), ("window", 10.0), ("on_step", "loss"), ("p_false", 0),
    ("p_false", 1.0), ("restart_gap", 0), ("hold", -1), ("hold", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda v: repr(v))
def test_a_bad_value_is_named_with_the_remedy(name, value):
    with pytest.raises(ParameterError) as caught:
        ClockSettings(**{"rate": 1000.0, name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert str(caught.value).endswith(f"not {value!r}")


def test_good_values_pass():
    settings = ClockSettings(
        rate=None, quantum=480, counter=DeviceCounter(32), path_delay=0.01, skew=-50e-6,
        skew_tol=1e-2, drift=1e-7, window=(5, 60), on_step="latency", p_false=1e-9, restart_gap=5,
        hold=0.5,
    )  # fmt: skip
    assert settings.hold == 0.5


@pytest.mark.parametrize("settings", [48_000.0, None])
def test_a_model_needs_settings(settings):
    with pytest.raises(ParameterError, match="needs ClockSettings"):
        ClockModel(settings)


def test_a_chunk_without_samples_is_refused():
    with pytest.raises(ParameterError, match="count must be at least 1 sample, not 0"):
        ClockModel(ClockSettings(1.0)).push(0, 5)
