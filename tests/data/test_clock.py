"""The host clock and how times and durations are read."""
# ruff: noqa: DTZ001 - naive datetimes are what some tests are about

import datetime as dt
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.data.clock import HostClock, format_time, now_ns, to_ns, to_span
from rxstream.errors import ParameterError


class Clocks:
    def __init__(self) -> None:
        self.mono, self.real = 1_000, 10**18

    def make(self) -> HostClock:
        return HostClock(lambda: self.mono, lambda: self.real)


def test_a_step_of_the_wall_clock_does_not_tear_it() -> None:
    clocks = Clocks()
    clock = clocks.make()
    before = clock.now()
    clocks.mono += 5
    clocks.real += 5 - 350_000_000  # NTP steps back while 5 ns pass
    assert clock.now() == before + 5


def test_stamps_of_other_clocks_are_mapped() -> None:
    clocks = Clocks()
    clock = clocks.make()
    assert clock.from_monotonic(1_500) == 10**18 + 500
    clocks.real += 80_000_000  # a step: a stamp taken now on the wall clock means "now"
    assert clock.from_realtime(clocks.real) == clock.now()


def test_it_is_near_utc() -> None:
    assert abs(now_ns() - time.time_ns()) < 10**9


def test_the_tightest_reading_ties_the_clocks() -> None:
    # the process is interrupted for 1 s in the first of three readings
    mono = iter([0, 10**9, 10**9, 10**9 + 2, 10**9 + 4, 10**9 + 400])
    real = iter([10**18 + 900_000_000, 10**18 + 10**9 + 1, 10**18 + 10**9 + 300])
    times: list[int] = []

    def monotonic() -> int:
        times.append(next(mono, 10**9 + 500))
        return times[-1]

    clock = HostClock(monotonic, lambda: next(real))
    assert clock.now() - times[-1] == 10**18


def test_points_in_time() -> None:
    when = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
    assert to_ns(when) == 1767323045678901000
    assert to_ns(np.datetime64("2026-01-02T03:04:05.678901")) == 1767323045678901000
    assert to_ns(when.astimezone(dt.timezone(dt.timedelta(hours=5)))) == 1767323045678901000
    assert to_ns(np.int64(7)) == 7
    assert to_ns(pd.Timestamp(1767323045678901234, tz="UTC")) == 1767323045678901234
    assert format_time(1767323045678901000) == "03:04:05.678901"


@given(
    st.datetimes(
        timezones=st.just(dt.UTC),
        min_value=dt.datetime(1700, 1, 1),
        max_value=dt.datetime(2262, 1, 1),
    )
)
def test_datetimes_are_exact(when: dt.datetime) -> None:
    assert to_ns(when) == to_ns(np.datetime64(when.replace(tzinfo=None), "us"))


@pytest.mark.parametrize(
    "bad",
    [
        dt.datetime(2026, 1, 1),
        1.5,
        "now",
        None,
        True,
        np.datetime64("NaT", "ns"),
        np.datetime64("2263-01-01"),
        dt.datetime(2263, 1, 1, tzinfo=dt.UTC),
        1 << 63,
        np.timedelta64(5, "ns"),
    ],
)
def test_what_is_no_time_is_named(bad: Any) -> None:
    with pytest.raises(ParameterError):
        to_ns(bad)


@pytest.mark.parametrize(
    "bad",
    [
        -1, 0, float("inf"), float("nan"), "1", None, True, 1e-10, 1e10, 10**400,
        np.timedelta64(-1, "s"), np.timedelta64("NaT", "s"), np.timedelta64(1, "Y"),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_named(bad: Any) -> None:
    with pytest.raises(ParameterError, match="before"):
        to_span(bad, "before")


def test_durations() -> None:
    assert to_span(0.25, "x") == 250_000_000
    assert to_span(dt.timedelta(milliseconds=3), "x") == 3_000_000
    assert to_span(np.timedelta64(20, "ms"), "x") == 20_000_000
    assert to_span(1e-9, "x") == 1
    assert to_span(0, "x", zero=True) == to_span(1e-10, "x", zero=True) == 0
