"""The drawing of a clip: what is on which axes at which time (people have looked at the rest)."""

import io
import subprocess
import sys

import matplotlib.dates
import matplotlib.figure
import numpy as np
import pytest
from matplotlib.image import AxesImage

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream.data.clip import Clip, Missing
from rxstream.errors import MissingExtraError, ParameterError

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
MESSAGE = np.dtype([("arbitration_id", "u4"), ("data", "u1", (8,))])


def sound(seconds: float = 3.0, name: str = "mic") -> Chunk:
    """Return sound at 1 kHz; its second second is lost."""
    info = StreamInfo(name, 1000.0, (1,), np.dtype("f4"), "FS")
    whole = Chunk.regular(np.ones((1000, 1), "f4"), info, start=START)
    if seconds <= 1:
        return whole.between(START, START + round(seconds * SECOND))
    gap = Gap(START + SECOND, START + 2 * SECOND, 1000, "disconnect")
    rest = Chunk.regular(np.ones((1000, 1), "f4"), info, start=gap.end, index=2000, gap=gap)
    return concat([whole, rest])


def frames(count: int = 90, shape: tuple[int, ...] = (24, 32, 3)) -> Chunk:
    """Return images of one gray each: the number of the frame."""
    data = np.empty((count, *shape), np.uint8)
    data[:] = np.arange(count).reshape(-1, *[1] * len(shape))
    return Chunk.regular(data, StreamInfo("cam", 30.0, shape, data.dtype), start=START)


def messages(count: int = 60) -> Chunk:
    data = np.zeros(count, MESSAGE)
    data["arbitration_id"] = np.where(np.arange(count) % 3, 0x100, 0x200)
    times = START + np.arange(count) * 50_000_000
    return Chunk.stamped(data, times, StreamInfo("can", dtype=MESSAGE), end=START + 3 * SECOND)


def clip_of(*times: float, events=(), missing=(), **streams: Chunk) -> Clip:
    at = tuple(START + round(time * SECOND) for time in times)
    events = events or tuple("event" for _ in times)
    return Clip(tuple(events), at, START, START + 3 * SECOND, streams, tuple(missing))


def labels(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_every_stream_has_a_row_over_one_time_axis() -> None:
    axes = clip_of(2.0, mic=sound(), cam=frames(), can=messages()).plot()
    assert [ax.get_ylabel() for ax in axes] == ["mic [FS]", "cam", "can: arbitration_id"]
    assert {ax.get_xlim() for ax in axes} == {(-2.0, 1.0)}
    assert axes[-1].get_xlabel() == "time from the event at 2026-09-21 14:13:22.000 UTC [s]"
    axes[0].figure.savefig(io.BytesIO(), dpi=40)


def test_lines_are_in_seconds_from_the_first_event() -> None:
    (ax,) = clip_of(0.5, 1.0, mic=sound(1.0)).plot()
    line = ax.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), np.arange(1000) / 1000 - 0.5, atol=1e-9)
    assert "time from event 1 at" in ax.get_xlabel()


def test_a_row_has_the_name_that_the_stream_has_in_the_clip() -> None:
    (ax,) = clip_of(0.5, left=sound(name="mic")).plot()
    assert ax.get_ylabel() == "left [FS]"


def test_events_are_marked_on_every_row_and_named_on_the_first() -> None:
    loud = sound(0.5, name="loud")
    first, second = clip_of(0.0, events=[loud], mic=sound(), can=messages()).plot()
    marked = [
        [path.tolist() for path in rows.get_segments()]
        for rows in (first.collections[0], second.collections[-2])
    ]
    assert marked == [[[[0.0, 0.0], [0.0, 1.0]]]] * 2
    (bar,) = first.collections[-1].get_paths()
    assert bar.get_extents().x1 == pytest.approx(0.5)
    assert "loud" in labels(first)
    assert "loud" not in labels(second)


def test_labels_of_events_do_not_overlap() -> None:
    (ax,) = clip_of(*np.linspace(1, 1.4, 50), events=[f"e{k}" for k in range(50)], m=sound()).plot()
    named = [text for text in labels(ax) if text.startswith("e")]
    assert named[0] == "e0"
    assert 1 < len(named) < 5


def test_gaps_are_shaded_over_their_time() -> None:
    (ax,) = clip_of(0.0, mic=sound()).plot()
    (shade,) = [patch for patch in ax.patches if patch.get_width() > 0]
    assert (shade.get_x(), shade.get_width()) == pytest.approx((1.0, 1.0))
    assert "disconnect\n1000 samples lost" in labels(ax)


def test_what_is_missing_is_hatched_and_says_why() -> None:
    missing = [
        Missing("mic", START + SECOND, START + 3 * SECOND, "stream ended"),
        Missing("can", START, START + 3 * SECOND, "late"),
    ]
    first, second = clip_of(0.0, missing=missing, mic=sound(1.0)).plot()
    (hatched,) = [patch for patch in first.patches if patch.get_hatch()]
    assert (hatched.get_x(), hatched.get_width()) == pytest.approx((1.0, 2.0))
    assert "missing: stream ended" in labels(first)
    assert (second.get_ylabel(), labels(second)) == ("can", ["missing: late"])


def shown(ax) -> list[tuple[float, float, int]]:
    """Return left and right edge and the gray of each image."""
    images = [item for item in ax.get_children() if isinstance(item, AxesImage)]
    return [(*image.get_extent()[:2], int(image.get_array()[0, 0, 0])) for image in images]


def test_frames_stand_at_the_time_they_were_taken() -> None:
    (ax,) = clip_of(1.51, cam=frames()).plot()
    strip = shown(ax)
    assert 10 <= len(strip) <= 14
    for left, right, number in strip:
        assert left <= number / 30 - 1.51 <= right
    taken = [float(line.get_xdata()[0]) for line in ax.get_lines()]
    assert taken == pytest.approx([number / 30 - 1.51 for _, _, number in strip])
    assert 46 in [number for _, _, number in strip]  # the first frame after the event


def test_a_frame_shows_what_follows_an_event_at_the_edge_of_its_interval() -> None:
    (ax,) = clip_of(1.5, cam=frames()).plot()
    assert 45 in [number for _, _, number in shown(ax)]


def test_where_no_frame_was_taken_there_is_none() -> None:
    (ax,) = clip_of(2.0, cam=frames().between(START, START + SECOND)).plot()
    assert all(right < -0.9 for _, right, _ in shown(ax))


def test_the_number_of_frames_fits_the_axes() -> None:
    figure = matplotlib.figure.Figure(figsize=(4, 4))
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    assert clip_of(0.0, cam=frames(90, (30, 15))).plot(ax) == [ax]
    assert len(shown(ax)) == 2


def test_it_takes_the_axes_it_is_given() -> None:
    axes = matplotlib.figure.Figure().subplots(2)
    clip = clip_of(0.0, mic=sound(), can=messages())
    assert clip.plot(axes) == list(axes)
    with pytest.raises(ParameterError, match="2 axes, for mic, can, not 1"):
        clip.plot(axes[0])


def test_a_clip_of_nothing_can_be_drawn() -> None:
    nothing = {
        "mic": Chunk.empty(sound().info, START, START + SECOND),
        "cam": Chunk.empty(frames().info, START),
        "can": Chunk.empty(messages().info, START),
    }
    for clip in (clip_of(**nothing), clip_of(0.1, **nothing), clip_of()):
        axes = clip.plot()
        assert len(axes) == max(1, len(clip.streams))
        axes[0].figure.savefig(io.BytesIO(), dpi=40)
    assert "time from the start at" in clip_of().plot()[0].get_xlabel()


def test_many_channels_and_wide_frames_can_be_drawn() -> None:
    many = Chunk.regular(
        np.zeros((100, 20), "f4"), StreamInfo("eeg", 100.0, (20,), "f4"), start=START
    )
    panorama = frames(9, (8, 400))
    axes = clip_of(0.0, eeg=many, wide=panorama, tall=frames(9, (400, 8))).plot()
    axes[0].figure.savefig(io.BytesIO(), dpi=40)


def test_plotting_asks_for_no_display() -> None:
    """In a process of its own: pyplot, which picks a backend, is not even loaded."""
    code = (
        "import sys, numpy as np; from rxstream import Chunk, Clip, StreamInfo;"
        "chunk = Chunk.regular(np.zeros(9), StreamInfo('a', 1.0, dtype='f8'), start=0);"
        "clip = Clip((), (), 0, 9, {'a': chunk}); clip._repr_html_();"
        "assert 'matplotlib' not in sys.modules;"
        "clip.plot(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_a_missing_matplotlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib .*rxstream\[plot\]"):
        clip_of(0.0, mic=sound()).plot()
