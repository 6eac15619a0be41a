"""What `correct_arrays` refuses: it names the value, and says what to give."""

import numpy as np
import pytest

from rxstream.data.stream_info import DeviceCounter
from rxstream.errors import ParameterError
from rxstream.timing.recorded.arrays import correct_arrays

S = 1_000_000_000
LAST = (1 << 63) - 1
TIMES = [S, 2 * S, 3 * S]

# No column of whole numbers, and what is said of it.
NO_COLUMN = [
    ([1.0, np.inf, 3.0], r"not inf \(float64\); give whole numbers.*np.rint\(seconds"),
    ([1.0, 2.0, np.nan], r"not nan \(float64\); give whole numbers"),
    ([1e30, 2e30, 3e30], r"not 1e\+30 \(float64\); give whole numbers"),
    ([1, 1 << 64, 3], r"must fit into int64[^,]*, not 18446744073709551616"),
    ([-1, 2, 1 << 63], r"must fit into int64[^,]*, not.* 9223372036854775808"),
    ([1, None, 3], r"not None \(object\)"),
    (np.array(["NaT"] * 3, "M8[ns]"), r"not NaT \(datetime64\[ns\]\).*astype\('M8\[ns\]'\)"),
    (np.array(TIMES, "m8[s]"), r"\(timedelta64\[s\]\).*astype\('m8\[ns\]'\)"),
    ([True, False, True], r"not True \(bool\)"),
    (["1", "2", "3"], "must be"),
    ([[1], [1, 2], 3], r"must be \(m,\) integers, not \[\[1\], \[1, 2\], 3\]"),
    ([[1, 2, 3]], r"must be \(m,\) integers, not \(1, 3\)"),
    (iter(TIMES), r"must be \(m,\) integers, not"),
    (np.ma.array(TIMES, mask=[0, 1, 0]), "has no value at 1, where it is masked"),
]


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize(("given", "text"), NO_COLUMN)
@pytest.mark.parametrize("name", ["n", "arrival", "counter", "lower", "upper"])
def test_what_is_no_column_of_whole_numbers_is_refused(name, given, text, online):
    arguments = {"n": 1, "arrival": TIMES, "rate": 1.0} | {name: given}
    with pytest.raises(ParameterError, match=f"^{name}.*{text}|^{name} {text}"):
        correct_arrays(**arguments, online=online)


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("name", ["arrival", "lower", "upper"])
@pytest.mark.parametrize("given", [[-LAST - 1, 0, 1], [1, 2, LAST], [-(1 << 62), 1, 2]])
def test_times_whose_differences_are_not_int64_are_refused(name, given, online):
    arguments = {"n": 1, "arrival": TIMES, "rate": 1.0} | {name: given}
    with pytest.raises(ParameterError, match=rf"^{name} -?\d+ at \d is no time.*nanoseconds"):
        correct_arrays(**arguments, online=online)


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize(
    ("n", "rate", "options", "text"),
    [
        (LAST, 1.0, {}, r"n makes 2.77e\+19 s of samples in all.*check n, 9223372036854775807"),
        ([1, LAST, LAST], 48e3, {}, "n makes .* and rate, 48000.0"),
        (LAST, None, {}, "n makes .* of samples in all"),
        (1, 1e-9, {}, "rate must be"),
        (10**30, 1.0, {}, "n must fit into int64, not 1000000"),
        (np.inf, 1.0, {}, "n must be .* not inf"),
        (None, 1.0, {}, "n must be .* not None"),
        (True, 1.0, {}, "n must be .* not True"),
        ([1, -4, 1], 1.0, {}, "n must be at least 1 sample a chunk, not -4"),
        (1, 1.0, {"path_delay": np.inf}, "path_delay must be"),
        (1, 1.0, {"lower": [1 - (1 << 62)] * 3, "path_delay": 9e8}, "path_delay .* is no time"),
    ],
)
def test_more_than_the_times_hold_is_refused(n, rate, options, text, online):
    with pytest.raises(ParameterError, match=text):
        correct_arrays(n, TIMES, rate, online=online, **options)


@pytest.mark.parametrize(
    ("counter", "spec", "text"),
    [
        (
            [-3, -2, -1],
            None,
            "counter is -3 at chunk 0; give it raw, from 0 to 18446744073709551615",
        ),
        (
            [254, 255, 256],
            DeviceCounter(8),
            "counter is 256 at chunk 2; give it raw, from 0 to 255",
        ),
        ([1, 2, 3], 8, "counter_spec must be an rxstream.DeviceCounter, or None, not 8"),
        ([1, 2], DeviceCounter(8), "counter has 2 chunks, arrival has 3"),
    ],
)
def test_a_counter_that_is_not_raw_is_refused(counter, spec, text):
    with pytest.raises(ParameterError, match=text):
        correct_arrays(1, TIMES, 1.0, counter=counter, counter_spec=spec)


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize(
    "given", [list, lambda raw: np.array(raw, object), lambda raw: np.array(raw, np.uint64)]
)
def test_a_counter_of_64_bits_may_wrap(given, online):
    numbers = given([((1 << 64) - 100 + k) % (1 << 64) for k in range(200)])
    arrival = S + np.arange(200) * S // 100
    found = correct_arrays(
        1, arrival, 100.0, counter=numbers, counter_spec=DeviceCounter(64), online=online
    )
    assert not found.events
    assert (found.last == arrival).all()


def test_only_times_are_said_to_be_times():
    for name, text in (("arrival", r"int64 \[ns since 1970\], not"), ("n", "int64, not")):
        arguments = {"n": 1, "arrival": TIMES, "rate": 1.0} | {name: [1, 1 << 63, 3]}
        with pytest.raises(ParameterError, match=f"^{name} must fit into {text}"):
            correct_arrays(**arguments)
    text = r"^counter must fit into int64 or uint64, not 18446744073709551616"
    with pytest.raises(ParameterError, match=text):
        correct_arrays(1, TIMES, 1.0, counter=[1, 1 << 64, 3])


@pytest.mark.parametrize(
    "given", [np.array(TIMES, object), np.array(TIMES, np.uint64), np.array(TIMES, ">i8")]
)
def test_whole_numbers_of_any_type_are_times(given):
    for online in (True, False):
        found = correct_arrays(1, given, 1.0, online=online)
        assert (found.last == correct_arrays(1, TIMES, 1.0, online=online).last).all()


@pytest.mark.parametrize("options", [{"drift": 1e300}, {"window": (1e30, 1e31)}])
def test_settings_beyond_any_clock_are_survived(options):
    for online in (True, False):
        found = correct_arrays(1, TIMES, 1.0, online=online, **options)
        assert (np.diff(found.last) > 0).all()
