"""Pictures and tables of chunks: what is drawn, not how it looks (people have looked at that)."""

import base64
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.figure
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream.display import png
from rxstream.display.reduce import envelope, event_rows, kind_of, to_rgb
from rxstream.errors import MissingExtraError

START = 1_790_000_000_123_456_789
SECOND = 1_000_000_000
EVENT = np.dtype([("arbitration_id", "u4"), ("dlc", "u1"), ("data", "u1", (8,))])
STATE = np.dtype([("cpu", "f4"), ("temps", "f4", (2,)), ("name", "U4"), ("count", "i8")])


def regular(data, rate=1000.0, gap_at=None, **info) -> Chunk:
    """Return a chunk; with `gap_at`, 0.1 s are lost before that sample."""
    data = np.asarray(data)
    facts = StreamInfo("box", rate, data.shape[1:], data.dtype, **info)
    if gap_at is None:
        return Chunk.regular(data, facts, start=START)
    first = Chunk.regular(data[:gap_at], facts, start=START)
    lost = round(0.1 * rate)
    gap = Gap(first.end, first.end + SECOND // 10, lost, "dropped")
    rest = Chunk.regular(data[gap_at:], facts, start=gap.end, index=gap_at + lost, gap=gap)
    return concat([first, rest])


def events(count=20) -> Chunk:
    data = np.zeros(count, EVENT)
    data["arbitration_id"] = np.where(np.arange(count) % 3, 0x100, 0x7FF)
    data["data"][:, 0] = np.arange(count)
    times = START + np.cumsum(np.arange(count)) * 1_000_000
    return Chunk.stamped(data, times, StreamInfo("bus", None, (), EVENT))


def states(count=50) -> Chunk:
    data = np.zeros(count, STATE)
    data["cpu"], data["count"], data["name"] = np.linspace(0, 1, count), np.arange(count), "idle"
    return regular(data, rate=10.0)


def pictures(count=3, shape=(20, 30, 3), dtype=np.uint8, **info) -> Chunk:
    data = np.arange(count * np.prod(shape)).reshape(count, *shape) % 251
    return regular(data.astype(dtype), rate=30.0, **info)


def empty(start=START, end=START + SECOND) -> Chunk:
    info = StreamInfo("box", 1000.0)
    return Chunk.stamped(np.empty(0, np.float32), [], info, start=start, end=end)


EVERY_KIND = {
    "one": lambda: regular(np.zeros(1)),
    "constant": lambda: regular(np.full(100, 7.0)),
    "mono": lambda: regular(np.sin(np.arange(5000.0)), gap_at=2000, unit="V"),
    "stereo": lambda: regular(np.ones((100, 2), np.int16), channels=("L", "R"), gap_at=50),
    "many": lambda: regular(np.random.default_rng(0).normal(size=(3000, 40)), gap_at=5),
    "cube": lambda: regular(np.zeros((4, 2, 3, 2))),
    "no numbers": lambda: regular(np.zeros((10, 0))),
    "not finite": lambda: regular([np.nan, np.inf, -np.inf, 1.0, 2.0]),
    "all nan": lambda: regular(np.full(3000, np.nan)),
    "bool": lambda: regular(np.arange(9) % 2 == 0),
    "complex": lambda: regular(np.exp(1j * np.arange(50))),
    "half": lambda: regular(np.ones(5000, np.float16)),
    "text": lambda: regular(np.array(["a", "<b>", "c"])),
    "bytes": lambda: regular(np.array([b"a", b"\xff"])),
    "events": events,
    "one event": lambda: events(1),
    "states": states,
    "one picture": lambda: pictures(1),
    "pictures": lambda: pictures(40, channels=("B", "G", "R")),
    "grey": lambda: pictures(3, (20, 30)),
    "float pictures": lambda: pictures(3, (20, 30, 1), np.float32),
    "five colors": lambda: pictures(3, (20, 30, 5), np.uint16),
    "empty": empty,
    "empty in no time": lambda: empty(START, START),
    "gap first": lambda: regular(np.ones(9)).with_gap(Gap(START - 10**12, START, 5, "disconnect")),
    "after years": lambda: Chunk.stamped(
        np.ones(3000), np.linspace(0, 3e17, 3000).astype(np.int64), StreamInfo("box", dtype="f8")
    ),
}


@pytest.fixture(params=EVERY_KIND)
def chunk(request) -> Chunk:
    return EVERY_KIND[request.param]()


# -- in a notebook ----------------------------------------------------------------------------


def test_every_chunk_has_a_notebook_picture(chunk):
    html = chunk._repr_html_()
    ET.fromstring(html)  # well-formed, and so no text of the stream gets out
    assert chunk.info.name in html
    assert "nan" not in re.sub(r"<text.*?</text>", "", html)
    assert len(html) < 300_000


def test_the_facts():
    chunk = regular(np.zeros((3000, 2), np.int16), rate=48_000.0, unit="FS", gap_at=2000)
    html = chunk._repr_html_()
    for fact in ("3000 × 2 int16", "[FS]", "48 kHz", "#0", "2026-09-21 14:13:20.123456 UTC"):
        assert fact in html
    assert "gap of 0.1 s, 4800 samples lost (dropped)" in html


def test_text_of_a_stream_is_escaped():
    info = StreamInfo("<script>", unit="<&>", channels=('"a"', "<b>"), shape=(2,), rate=1.0)
    html = Chunk.regular(np.zeros((3, 2), np.float32), info, start=0)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "<b>&" in html  # our own bold name, and nothing else
    assert html.count("<b>") == 1


def test_a_gap_is_shaded_and_tears_the_line():
    html = regular(np.arange(100.0), gap_at=50)._repr_html_()
    assert html.count("<rect") == 1
    assert "<title>gap of 0.1 s, 100 samples lost (dropped)</title>" in html
    (line,) = re.findall(r'<path d="(M[^"]*L[^"]*)"', html)
    assert line.count("M") == 2


def test_many_gaps_are_counted():
    chunk = concat([
        Chunk.regular(
            np.zeros(5), StreamInfo("box", 1000.0, dtype="f8"), start=START + k * 10**8,
            gap=Gap(START + k * 10**8 - 95_000_000, START + k * 10**8, 95, "lag") if k else None,
        )
        for k in range(6)
    ])  # fmt: skip
    html = chunk._repr_html_()
    assert "and 2 more gaps, 475 samples lost in all" in html
    assert html.count("<rect") == 5


def test_many_channels_are_not_all_drawn_but_told():
    html = regular(np.zeros((10, 40)))._repr_html_()
    assert "and 34 more" in html


def test_pictures_are_in_it():
    chunk = pictures(2, (20, 30, 3), channels=("B", "G", "R"))
    html = chunk._repr_html_()
    urls = re.findall(r"data:image/png;base64,([^\"]+)", html)
    assert len(urls) == 2
    shown = matplotlib.image.imread(io.BytesIO(base64.b64decode(urls[1])))
    np.testing.assert_array_equal(np.rint(shown * 255), chunk.data[1][:, :, ::-1])


def test_pictures_are_numbered_with_the_lost_ones_counted_in():
    data = np.zeros((4, 20, 30), np.uint8)
    chunk = regular(data, rate=10.0, gap_at=2)
    html = chunk._repr_html_()
    assert re.findall(r"#(\d+), ([\d.]+) s<", html) == [
        ("0", "0"), ("1", "0.1"), ("3", "0.3"), ("4", "0.4"),
    ]  # fmt: skip


def test_big_pictures_are_shown_small():
    html = pictures(1, (1000, 1500, 3))._repr_html_()
    (url,) = re.findall(r"data:image/png;base64,([^\"]+)", html)
    shown = matplotlib.image.imread(io.BytesIO(base64.b64decode(url)))
    assert shown.shape == (200, 300, 3)


def test_a_png_is_what_was_put_in():
    picture = np.random.default_rng(1).integers(0, 256, (7, 5, 3), np.uint8)
    back = matplotlib.image.imread(io.BytesIO(png.encode(picture)))
    np.testing.assert_array_equal(np.rint(back * 255), picture)


# -- reducing ---------------------------------------------------------------------------------


def test_the_envelope_holds_every_peak():
    values = np.zeros(100_000)
    values[[12_345, 67_890]] = 5.0, -3.0
    chunk = regular(values, gap_at=30_000)
    line = envelope(chunk, chunk.data, 500)
    assert not line.exact
    assert (line.high.max(), line.low.min()) == (5.0, -3.0)
    place = line.x[line.high.argmax()]
    assert abs(place - 12.345 / 100.1) <= 1 / 500
    assert len(line.ends) == 2


def test_the_envelope_of_few_samples_is_the_samples():
    line = envelope(chunk := regular(np.arange(10.0)), chunk.data, 500)
    assert line.exact
    np.testing.assert_array_equal(line.low, chunk.data)
    np.testing.assert_allclose(line.x, np.arange(10) / 10, atol=1e-9)


def test_kinds():
    kinds = {name: kind_of(make()) for name, make in EVERY_KIND.items()}
    assert {name for name, kind in kinds.items() if kind == "images"} == {
        "one picture", "pictures", "grey", "float pictures", "five colors",
    }  # fmt: skip
    assert {name for name, kind in kinds.items() if kind == "events"} == {
        "text", "bytes", "events", "one event",
    }  # fmt: skip


def test_events_are_told_apart_by_their_first_field():
    rows = event_rows(events())
    assert (rows.labels, rows.field) == (["0x100", "0x7FF"], "arbitration_id")
    assert rows.row[:4].tolist() == [1, 0, 0, 1]


def test_rare_events_share_a_row():
    text = regular(np.array(list("aaabbbcccdefghijklmno")))
    rows = event_rows(text, count=4)
    assert rows.labels == ["a", "b", "c", "12 others"]
    assert rows.row.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 12


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [(np.uint8, 3, 250), (np.uint16, 0, 255), (np.float32, 0, 255), (np.int32, 0, 255)],
)
def test_pictures_of_any_dtype_use_the_whole_range(dtype, low, high):
    data = np.linspace(3, 250, 600).reshape(1, 20, 30).astype(dtype)
    picture = to_rgb(regular(data), 0)
    assert (picture.dtype, picture.shape) == (np.uint8, (20, 30, 3))
    assert (picture.min(), picture.max()) == (low, high)


# -- matplotlib -------------------------------------------------------------------------------


def test_every_chunk_can_be_plotted(chunk):
    ax = chunk.plot()
    ax.figure.savefig(io.BytesIO(), dpi=40)


def test_lines_are_in_utc_and_torn_by_gaps():
    ax = regular(np.arange(100.0), gap_at=50, unit="V").plot()
    (line,) = ax.get_lines()
    times = line.get_xdata(orig=True).astype(np.int64)
    assert times[0] == START
    assert times[-1] == START + 199_000_000
    assert np.isnan(line.get_ydata()).sum() == 1
    assert ax.get_ylabel() == "box [V]"
    shaded = [patch for patch in ax.patches if patch.get_width() > 0]
    assert len(shaded) == 1
    assert shaded[0].get_width() * 86_400 == pytest.approx(0.1, rel=1e-3)


def test_channels_have_a_legend():
    ax = regular(np.zeros((10, 2)), channels=("L", "R")).plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["L", "R"]


def test_two_chunks_share_axes():
    ax = regular(np.zeros(10)).plot(matplotlib.figure.Figure().add_subplot())
    later = Chunk.regular(np.ones(10), StreamInfo("box", 10.0, dtype="f8"), start=START + SECOND)
    assert later.plot(ax) is ax
    low, high = ax.get_xlim()
    assert (high - low) * 86_400 == pytest.approx(1.9, rel=1e-3)
    colors = {line.get_color() for line in ax.get_lines()}
    assert len(colors) == 2


def test_events_are_a_raster():
    ax = events().plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0x100", "0x7FF"]
    assert [len(rows.get_segments()) for rows in ax.collections] == [13, 7]


def test_numbers_of_structured_samples_are_lines():
    ax = states().plot()
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels == ["cpu", "temps[0]", "temps[1]", "count"]


def test_pictures_are_shown_side_by_side():
    ax = pictures(40).plot()
    (image,) = ax.get_images()
    assert image.get_array().shape[0] == 20
    assert len(ax.get_xticks()) == 6
    assert ax.get_xticklabels()[-1].get_text() == "#39\n+1.3 s"
    assert "40 frames from 2026-09-21 14:13:20.123 UTC" in ax.get_title()


def test_plotting_asks_for_no_display():
    """In a process of its own: pyplot, which picks a backend, is not even loaded."""
    code = (
        "import sys, numpy as np; from rxstream import Chunk, StreamInfo;"
        "chunk = Chunk.regular(np.zeros(9), StreamInfo('a', 1.0, dtype='f8'), start=0);"
        "chunk._repr_html_(); assert 'matplotlib' not in sys.modules;"
        "chunk.plot(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_where_pyplot_is_in_use_it_knows_the_figure():
    """With Agg, in a process of its own, so that no other test gets a pyplot."""
    code = (
        "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as plt, numpy as np;"
        "from rxstream import Chunk, StreamInfo;"
        "chunk = Chunk.regular(np.zeros(9), StreamInfo('a', 1.0, dtype='f8'), start=0);"
        "ax = chunk.plot(); assert plt.gcf() is ax.figure"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


# -- tables -----------------------------------------------------------------------------------


def test_pandas_has_exact_times_in_utc():
    chunk = regular(np.arange(10.0), gap_at=4, unit="V")
    frame = chunk.to_pandas()
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert (frame.index.name, str(frame.index.dtype)) == ("time", "datetime64[ns, UTC]")
    np.testing.assert_array_equal(frame.index.asi8, chunk.time)
    np.testing.assert_array_equal(frame["box"], chunk.data)
    (gap,) = chunk.gaps
    assert frame.attrs == {
        "name": "box", "unit": "V", "rate": 1000.0,
        "gaps": [{"start": gap.start, "end": gap.end, "lost": 100, "reason": "dropped"}],
    }  # fmt: skip


def test_pandas_columns():
    assert list(regular(np.zeros((3, 2)), channels=("L", "R")).to_pandas()) == ["L", "R"]
    assert list(regular(np.zeros((3, 2)), channels=("a", "a")).to_pandas()) == ["a", "a"]
    assert list(regular(np.zeros((3, 2, 2))).to_pandas()) == [0, 1, 2, 3]
    assert list(states().to_pandas()) == ["cpu", "temps[0]", "temps[1]", "name", "count"]
    frame = events().to_pandas()
    assert list(frame) == ["arbitration_id", "dlc", "data"]
    assert frame["data"].iloc[3] == bytes([3, 0, 0, 0, 0, 0, 0, 0])
    nested = np.zeros(2, [("a", [("x", "f4"), ("y", "i2", (2,))]), ("b", "?")])
    assert list(regular(nested).to_pandas()) == ["a.x", "a.y[0]", "a.y[1]", "b"]


def test_every_chunk_is_a_table(chunk):
    assert len(chunk.to_pandas()) == len(chunk)


def test_xarray():
    chunk = regular(np.arange(20.0).reshape(10, 2), channels=("L", "R"), unit="V", gap_at=4)
    array = chunk.to_xarray()
    assert array.dims == ("time", "channel")
    assert array.name == "box"
    assert array.sel(channel="R").values.tolist() == chunk.data[:, 1].tolist()
    np.testing.assert_array_equal(array["time"].values.astype(np.int64), chunk.time)
    assert (array.attrs["rate"], array.attrs["unit"], array.attrs["units"]) == (1000.0, "V", "V")
    (gap,) = json.loads(array.attrs["gaps"])
    assert gap == {
        "start": chunk.gaps[0].start, "end": chunk.gaps[0].end, "lost": 100, "reason": "dropped",
    }  # fmt: skip


def test_xarray_dimensions():
    assert pictures().to_xarray().dims == ("time", "y", "x", "channel")
    labelled = pictures(channels=("B", "G", "R")).to_xarray()
    assert labelled["channel"].values.tolist() == ["B", "G", "R"]
    assert pictures(3, (20, 30)).to_xarray().dims == ("time", "y", "x")
    assert regular(np.zeros((3, 2, 2))).to_xarray().dims == ("time", "dim_1", "dim_2")


def test_structured_samples_are_a_dataset():
    dataset = events().to_xarray()
    assert isinstance(dataset, xr.Dataset)
    assert dataset["data"].dims == ("time", "data_1")
    assert int(dataset["arbitration_id"][0]) == 0x7FF
    clash = regular(np.zeros(3, [("time", "f4"), ("x", "f4")])).to_xarray()
    assert set(clash.data_vars) == {"time_", "x"}


def test_every_chunk_is_an_array(chunk):
    assert chunk.to_xarray().sizes["time"] == len(chunk)


# -- without the packages ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "ask", "extra"),
    [
        ("pandas", Chunk.to_pandas, "frames"),
        ("xarray", Chunk.to_xarray, "frames"),
        ("matplotlib", Chunk.plot, "plot"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, package, ask, extra):
    """Here they are installed: ``None`` in ``sys.modules`` makes Python say that they are not."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} .*rxstream\[{extra}\]"):
        ask(regular(np.zeros(3)))


@pytest.mark.parametrize("n", [40, 40_000])
def test_events_without_a_value_do_not_interrupt_its_line(n: int) -> None:
    """As of a signal on a bus with other messages in between."""
    values = np.where(np.arange(n) % 2, np.nan, np.arange(n) / n)
    rpm = StreamInfo("rpm", None, (), np.dtype(np.float64))
    chunk = Chunk.stamped(values, np.arange(n) * 1_000_000, rpm)
    (line,) = chunk.plot().get_lines()
    heights = np.asarray(line.get_ydata(), float)
    assert len(heights) >= 20
    assert not np.isnan(heights).any()
    assert np.nanmax(heights) > 0.9
