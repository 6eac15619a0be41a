"""rxstream demo: what it stores, what it says, and when its exit code is not 0."""

import csv
import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import reactivex as rx
import soundfile
from rich.console import Console

from rxstream import Chunk, Device, StreamInfo, concat
from rxstream.data.clip import Clip
from rxstream.demo import run_demo
from rxstream.demo.analysis import loudness
from rxstream.demo.inputs import Input, find_inputs, spare_input
from rxstream.demo.readers import Readers, start_readers
from rxstream.demo.report import judge, print_report, time_error, truly_lost
from rxstream.demo.scene import Scene
from rxstream.demo.story import Moment, Plan, loud_moments
from rxstream.devices import DeviceInfo
from rxstream.devices.can import CAN_DTYPE, Can
from rxstream.devices.simulated import Drops, Simulated, frame_number

# A demo takes 4 s of real time, and a busy machine far longer to write and to draw what it was.
pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


class Ran(NamedTuple):
    """A short demo that is over."""

    folder: Path
    text: str
    microphone: Device


def numbers_in(path: Path) -> list[int]:
    video, numbers = cv2.VideoCapture(str(path)), []
    while True:
        fine, frame = video.read()
        if not fine:
            video.release()
            return numbers
        numbers.append(frame_number(frame))


def read_log(path: Path) -> list[Chunk]:
    chunks: list[Chunk] = []
    log = Device(Can(path))
    log.subscribe(chunks.append)
    with log:
        assert log.wait(20)
    return [chunk for chunk in chunks if len(chunk)]


def loudest(path: Path) -> float:
    """Return when a sound file is loudest [s]."""
    sound, rate = soundfile.read(path, always_2d=True)
    return float(np.abs(sound[:, 0]).argmax()) / rate


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return a short demo with simulated devices."""
    folder, out = tmp_path_factory.mktemp("demo") / "new" / "folder", io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None)
    devices: dict[str, Device] = {}

    def start(item: Input, *arguments: Any, **options: Any) -> Readers:
        devices[item.key] = item.device
        return start_readers(item, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rxstream.demo.run.start_readers", start)
        assert run_demo(console, 4.0, folder, simulated=True) == 0, out.getvalue()
    return Ran(folder, out.getvalue(), devices["microphone"])


def test_it_says_what_it_does_and_how_it_went(demo: Ran) -> None:
    text = demo.text
    for words in (
        "microphone  simulated (as you asked)", "slow on purpose", "the microphone is unplugged",
        "plugged in again", "Samples", "time error", "µs",
        "How far each reader was behind", "Nothing was lost except on purpose.",
    ):  # fmt: skip
        assert words in text
    # on a busy machine the cable may be out just then, and the noise begin behind the gap, or never
    assert re.search(r"(loud noise|nothing was loud|of the demo), at \d\.\d\d s: saving", text)
    tables = text[text.index("Samples") : text.index("Files")].splitlines()
    assert max(len(line.rstrip()) for line in tables) <= 80


def test_on_a_terminal_there_is_a_table_and_a_progress_bar(demo: Ran) -> None:
    for words in ("━", "of 4 s", "turns/min", "behind", "unplugged"):
        assert words in demo.text


def test_it_writes_all_files(demo: Ran) -> None:
    assert {path.name for path in demo.folder.iterdir()} == {
        "microphone.wav", "camera.avi", "camera.avi.times.csv", "can.blf", "moment.wav",
        "moment.png",
    }  # fmt: skip


def test_the_sound_keeps_its_time_over_the_pulled_cable(demo: Ran) -> None:
    sound, rate = soundfile.read(demo.folder / "microphone.wav", dtype="float32")
    assert rate == 48_000
    chunks: list[Chunk] = []
    demo.microphone.past().subscribe(chunks.append)
    heard = concat(chunks)
    ((at, gap),) = heard.gap_positions
    assert gap.reason == "disconnect"
    assert gap.lost is not None
    assert gap.lost > 0.2 * rate
    assert len(sound) == pytest.approx(len(heard) + gap.lost, abs=5)
    assert np.count_nonzero(sound == 0.0) == pytest.approx(gap.lost, abs=5)
    # behind the gap by as much silence; on a busy machine the cable may be pulled after the bang
    bang = int((np.abs(heard.data[:, 0]) > 0.5).argmax())
    stored = int((np.abs(sound) > 0.5).argmax())
    assert stored == pytest.approx(bang + (gap.lost if bang >= at else 0), abs=5)


def test_the_moment_began_before_the_event(demo: Ran) -> None:
    before = Plan.of(4).before
    # The bang is loud for a while, and on a busy machine its first blocks may be those that were
    # lost while the cable was pulled.
    assert -0.1 < loudest(demo.folder / "moment.wav") - before < 0.4


def test_the_video_has_every_frame_once(demo: Ran) -> None:
    numbers = numbers_in(demo.folder / "camera.avi")
    assert len(numbers) > 60
    assert numbers == list(range(len(numbers)))
    with (demo.folder / "camera.avi.times.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(numbers)
    steps = np.diff([int(row["time_ns"]) for row in rows])
    assert abs(np.median(steps) / 1e9 - 1 / 30) < 0.002


def test_the_log_has_every_message(demo: Ran) -> None:
    data = np.concatenate([chunk.data for chunk in read_log(demo.folder / "can.blf")])
    engine = data[data["arbitration_id"] == 0x100]["data"][:, 7]
    assert len(data) > 1000
    assert (np.diff(engine.astype(int)) % 256 == 1).all()  # its counter misses none


def test_the_picture_is_a_picture(demo: Ran) -> None:
    picture = cv2.imread(str(demo.folder / "moment.png"))
    assert picture.shape[1] >= 1000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200


def test_ctrl_c_ends_it_with_the_table(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "rxstream.cli.app", "demo", "--simulated", "--out",
         str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8",
    )  # fmt: skip
    assert process.stdout is not None
    while "samples so far" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=40)
    assert process.returncode == 0, output + errors
    assert "Traceback" not in errors
    assert "you stopped the demo" in output
    assert "Nothing was lost except on purpose." in output
    assert (tmp_path / "moment.png").exists()


# -- parts of it ------------------------------------------------------------------------------


def follow(simulated: Simulated, folder: Path, device: Device | None = None) -> list[str]:
    """Let the demo's readers read a simulated device to its end; return the problems."""
    device = (device or Device(simulated, name="sensor")).open()
    source = Input("sensor", device, "simulated", simulated=simulated)
    readers = start_readers(source, folder, slow=1.0, hurry=Event())
    device.wait(20)
    device.close()
    for sink in readers.sinks.values():
        assert sink.wait(10)
    return list(judge(readers).problems)


def test_a_pulled_cable_is_no_problem_when_the_window_has_forgotten_it(tmp_path: Path) -> None:
    simulated = Simulated(rate=1000.0, unplugs=((0.3, 0.2),), duration=1.2)
    device = Device(simulated, name="sensor", history=0.2, reconnect=0.05)
    assert follow(simulated, tmp_path, device) == []
    assert device.stats().flow.gaps == 1
    held: list[Chunk] = []
    device.past().subscribe(held.append)
    assert not any(chunk.gaps for chunk in held)


def test_what_is_lost_without_a_word_is_a_problem(tmp_path: Path) -> None:
    # no counter, no stamps of its own, and too few at once to be seen by when they arrive
    drops = Drops(every=0.2, least=1, most=1, unit="samples", reported=False)
    problems = follow(Simulated(rate=1000.0, duration=1.0, drops=drops), tmp_path)
    assert len(problems) == 1
    assert "lost without a word" in problems[0]


def test_only_what_came_before_a_received_sample_counts_as_lost() -> None:
    truth = Simulated(rate=1000.0).truth
    truth.note(0, 10)
    truth.note(15, 10)
    truth.note(30, 10)
    assert [truly_lost(truth, received) for received in (10, 11, 20, 21, 30)] == [0, 5, 5, 10, 10]


def test_a_real_device_that_does_not_come_back_is_a_problem(tmp_path: Path) -> None:
    simulated = Simulated(rate=1000.0, duration=0.3)
    device = Device(simulated, name="sensor").open()
    source = Input("sensor", device, "a real one")
    readers = start_readers(source, tmp_path, slow=1.0, hurry=Event())
    assert device.wait(20)
    device.close()
    readers.gone = True
    assert "did not come back" in judge(readers).problems[0]


def test_a_problem_beside_those_of_the_devices_is_reported() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    assert print_report(console, [], 0, []) is True
    assert print_report(console, [], 0, [], ["saving the moment: [disk] full"]) is False
    assert "PROBLEM: saving the moment: [disk] full" in out.getvalue()


def test_what_is_lost_unexpectedly_is_a_problem(tmp_path: Path) -> None:
    drops = Drops(every=0.2, reported=True)
    problems = follow(Simulated(rate=1000.0, duration=0.9, drops=drops), tmp_path)
    assert len(problems) == 1
    assert "samples were lost by the device" in problems[0]


def test_what_is_well_is_no_problem(tmp_path: Path) -> None:
    assert follow(Simulated(rate=1000.0, duration=0.5), tmp_path) == []


def test_a_sink_that_fails_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "sensor.csv").write_text("")
    simulated = Simulated(rate=100.0, duration=0.4, shape=(80, 80))  # too many columns for a table
    problems = follow(simulated, tmp_path)
    assert any("storing" in line and "columns" in line for line in problems)


def test_the_time_error_is_known_after_a_pulled_cable() -> None:
    simulated = Simulated(rate=1000.0, stamps="host", unplugs=((0.5, 0.3),), duration=1.2)
    with Device(simulated, reconnect=0.05) as device:
        assert device.wait(20)
    error = time_error(device, simulated.truth, device.stats().flow.samples)
    assert error is not None
    assert error.p95 < 2e-3
    assert sum(lost.samples for lost in simulated.truth.lost) >= 290


def test_a_real_device_is_preferred_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # python-can does not list virtual buses, and a machine under test has no other
    found = [DeviceInfo("test bus", {"interface": "virtual", "channel": "rxstream-demo"})]
    monkeypatch.setattr(Can, "discover", staticmethod(lambda: found))
    opened: list[Input] = []
    inputs = find_inputs(Scene(), opened=opened.append)
    try:
        assert inputs[2].source == "test bus"
        assert inputs[2].simulated is None
        assert {item.key for item in opened} == {"microphone", "camera", "can"}
    finally:
        for item in opened:
            item.device.close(0.0)


def test_a_device_that_does_not_open_is_simulated_and_it_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [DeviceInfo("broken", {"interface": "nosuch", "channel": "x"})]
    monkeypatch.setattr(Can, "discover", staticmethod(lambda: found))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    opened: list[Input] = []
    inputs = {item.key: item for item in find_inputs(Scene(), opened=opened.append)}
    for item in opened:
        item.device.close(0.0)
    assert inputs["can"].source == inputs["microphone"].source == "simulated"
    assert "nosuch" in inputs["can"].reason
    assert "pip install 'rxstream[audio]'" in inputs["microphone"].reason


def test_where_everything_is_real_a_spare_one_is_unplugged() -> None:
    spare = spare_input(Scene())
    spare.device.close(0.0)
    assert spare.simulated is not None
    assert "unplug" in spare.reason


def test_a_loud_moment_is_found_to_the_sample() -> None:
    info = StreamInfo("mic", 1000.0, (1,), np.dtype(np.float32))
    heard, chunks = list[int](), list[Chunk]()
    levels, summary = loudness()
    rng = np.random.default_rng(0)
    for k in range(10):
        sound = 0.001 * rng.standard_normal((200, 1)).astype(np.float32)
        if k == 8:
            sound[50:] += 0.9
        chunks.append(Chunk.regular(sound, info, start=k * 200_000_000, index=k * 200))
    rx.from_iterable(chunks).pipe(loud_moments()).subscribe(lambda m: heard.append(m.time))
    rx.from_iterable(chunks).pipe(levels).subscribe(summary)
    assert heard == [1_650_000_000]
    assert "loudest -2 dB at 1.7 s" in summary.found(0)


def test_a_moment_without_anything_can_be_drawn(tmp_path: Path) -> None:
    bus = StreamInfo("can", dtype=CAN_DTYPE)
    messages = np.zeros(3, CAN_DTYPE)
    messages["arbitration_id"] = 1, 2, 1
    moment = Moment(10**9, "test")
    sound = StreamInfo("mic", 1000.0, (1,), np.dtype(np.float32))
    gray = StreamInfo("camera", None, (24, 32), np.dtype(np.uint8))
    chunks = {
        "microphone": Chunk.regular(np.empty((0, 1), np.float32), sound, start=0),
        "camera": Chunk.stamped(np.zeros((1, 24, 32), np.uint8), [5 * 10**8], gray),
        "can": Chunk.stamped(messages, [1, 2, 3], bus),
    }
    clip = Clip((moment,), (moment.time,), 0, 2 * 10**9, chunks)
    clip.plot()[0].figure.savefig(tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")) is not None
    chunks["camera"], chunks["can"] = chunks["camera"][:0], chunks["can"][:0]
    clip = Clip((moment,), (moment.time,), 0, 2 * 10**9, chunks)
    clip.plot()[0].figure.savefig(tmp_path / "b.png")
    assert cv2.imread(str(tmp_path / "b.png")) is not None
