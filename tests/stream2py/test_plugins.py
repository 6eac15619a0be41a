"""The plugins of stream2py, unchanged, behind `from_stream2py`."""

import io
import os
import pty
import subprocess
import sys
import termios
import textwrap
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fakes import eventually
from plc_servers import S7Controller
from pulse import RATE, PrivatePulse, noise
from stream2py_readers import all_of, microphone_reader, plugin, wav_reader
from videos import HEIGHT, WIDTH, MjpegHttp, numbers_of

from rxstream import Device
from rxstream.authoring import now_ns
from rxstream.data.concat import concat
from rxstream.devices.stream2py import (
    AUDIO,
    HEALTH,
    PLC,
    REQUEST,
    VIDEO,
    VIDEO_FILE,
    WAV,
    from_stream2py,
)
from rxstream.errors import (
    DeviceLostError,
    DeviceNotFoundError,
)

pytestmark = pytest.mark.real


def wav_file(data: np.ndarray, width: int = 2, rate: int = 44_100) -> bytes:
    """Return a WAV of int samples ``(n, channels)``."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(data.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        raw = data.tobytes()
        if width == 3:
            raw = np.frombuffer(raw, np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        file.writeframes(raw)
    return out.getvalue()


@pytest.mark.parametrize(("width", "dtype"), [(1, "u1"), (2, "<i2"), (3, "<i4"), (4, "<i4")])
def test_the_wav_reader_is_bit_equal_and_ends(width: int, dtype: str) -> None:
    reader = wav_reader()
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(width)
    sound = rng.integers(limits.min, limits.max, (44_100 + 7, 2), dtype, endpoint=True)
    if width == 3:
        sound &= ~np.int32(255)
    file = wav_file(sound, width)
    start = 1_700_000_000_000_000  # [µs]
    make = partial(reader, file, start_date=start)
    chunk = concat(all_of(from_stream2py(make, WAV, live=False)))
    assert chunk.data.dtype == np.dtype(dtype)
    assert np.array_equal(chunk.data, sound)
    assert chunk.info.rate == 44_100.0
    assert not chunk.gaps
    # its keys are floats of µs, of which those of our days have steps of 0.25
    want = start * 1000 + np.rint(np.arange(len(sound)) * 1e9 / 44_100).astype(np.int64)
    assert np.abs(chunk.time - want).max() <= 5000
    assert chunk.info.extra["n_frames"] == len(sound)


@pytest.fixture(scope="module")
def pulse() -> Iterator[PrivatePulse]:
    microphone_reader()
    with PrivatePulse() as daemon:
        yield daemon


def test_the_microphone_reader_hears_what_is_played(pulse: PrivatePulse) -> None:
    reader = microphone_reader()
    make = partial(reader, rate=RATE, width=2, channels=1, input_device="^pulse$", verbose=False)
    sound = noise(0.5)
    with Device(from_stream2py(make, AUDIO), history=30) as device:
        pulse.play(sound)

        def heard() -> np.ndarray:
            all_heard = device.last(30).data[:, 0]
            return all_heard[np.flatnonzero(all_heard)[:1].sum() :]

        assert eventually(lambda: len(heard()) >= len(sound) and heard()[0])
        found = heard()
    assert np.array_equal(found[: len(sound)], sound)
    assert device.info.rate == RATE


def test_the_video_reader_reads_a_file(tmp_path: Path) -> None:
    reader, cv2 = plugin("videostream2py").VideoCapture, plugin("cv2")
    path = str(tmp_path / "v.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for k in range(10):
        writer.write(np.full((48, 64, 3), k * 20, np.uint8))
    writer.release()
    chunk = concat(all_of(from_stream2py(partial(reader, path), VIDEO_FILE, live=False)))
    assert np.abs(chunk.data.mean(axis=(1, 2, 3)) - np.arange(10) * 20).max() < 3
    assert np.diff(chunk.time).tolist() == [40_000_000] * 9  # the seed says 692 µs for them all
    assert chunk.info.extra["fps"] == 25


def test_the_video_reader_reads_a_network_camera_until_it_is_gone() -> None:
    reader = plugin("videostream2py").VideoCapture
    errors: list[Exception] = []
    with MjpegHttp(30.0, 20) as server:
        device = Device(from_stream2py(partial(reader, server.url), VIDEO))
        device.subscribe(lambda _: None, errors.append)
        with device.reader() as frames, device:
            chunk = frames.read(5, timeout=20)
            now = now_ns()
            assert eventually(lambda: errors, 30)
    assert chunk.shape[1:] == (HEIGHT, WIDTH, 3)
    assert numbers_of(chunk.data) == [*range(5)]
    assert (np.diff(chunk.time) > 0).all()
    assert chunk.time[-1] <= now
    assert isinstance(errors[0], DeviceLostError)
    assert "no frame of 'http://" in str(errors[0])


def test_the_video_reader_without_a_file_is_not_found(tmp_path: Path) -> None:
    reader = plugin("videostream2py").VideoCapture
    source = from_stream2py(partial(reader, str(tmp_path / "none.avi")), VIDEO_FILE, live=False)
    with pytest.raises(DeviceNotFoundError, match="error opening video stream or file"):
        Device(source).open()


def test_the_health_reader_has_a_field_for_each_leaf() -> None:
    reader = plugin("pchealthstream2py.pchealth").StatusInfoReader
    source = from_stream2py(partial(reader, read_interval_ms=20), HEALTH)
    before = now_ns()
    with Device(source) as device, device.reader() as values:
        chunk = values.read(3, timeout=20)
    assert (chunk.data["memory.total"] > 1e6).all()
    assert ((chunk.data["memory.used_percents"] > 0) & (chunk.data["disk.used"] <= 100)).all()
    assert np.isnan(chunk.data["network.download"]).all()
    assert chunk.info.extra["units"]["memory.used_percents"] == "%"
    assert before - 1000 <= chunk.time[0] <= now_ns()


KEYS = """
    from keyboardstream2py import KeyboardInputSourceReader
    from rxstream import Device
    from rxstream.devices.keyboard import typed
    from rxstream.devices.stream2py import KEYBOARD, from_stream2py

    device = Device(from_stream2py(KeyboardInputSourceReader, KEYBOARD))
    with device.reader() as reader, device:
        while True:
            print(typed(reader.read(1, timeout=60)), flush=True)
"""


def test_the_keyboard_reader_reads_a_terminal() -> None:
    plugin("keyboardstream2py")
    main, terminal = pty.openpty()
    command = [sys.executable, "-c", textwrap.dedent(KEYS)]
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            for key in "hello!":
                # it makes the terminal raw anew for each key, and drops what was typed before
                assert eventually(lambda: not termios.tcgetattr(terminal)[3] & termios.ICANON, 60)
                os.write(main, key.encode())
                assert program.stdout.readline() == f"{key}\n"
        finally:
            program.kill()
            os.close(main)
            os.close(terminal)


def test_the_plc_reader_reads_a_controller() -> None:
    plc, util = plugin("plcstream2py.plc"), plugin("snap7.util")
    items = [
        plc.PlcDataItem(plc.S7AreaDB, plc.S7WLByte, 1, 0, 4, "count", util.get_dint, (0,)),
        plc.PlcDataItem(plc.S7AreaDB, plc.S7WLBit, 1, 8 * 8, 1, "on", util.get_bool, (0, 0)),
    ]
    with S7Controller() as controller:
        controller.data[8] = 1
        make = partial(
            plc.PlcReader, "127.0.0.1", items_to_read=items, rack=0, slot=1,
            tcp_port=controller.port, sleep_time=0.02,
        )  # fmt: skip
        device = Device(from_stream2py(make, PLC))
        with device, device.reader() as reader:
            chunk = reader.read(5, timeout=20)
        assert chunk.data.dtype == [("count", "i8"), ("on", "?")]
        assert (np.diff(chunk.data["count"]) > 0).all()
        assert chunk.data["on"].all()
        assert (np.diff(chunk.time) > 0).all()


def test_the_request_reader_reads_a_body() -> None:
    reader = plugin("flaskstream2py").FlaskRequestReader
    flask = plugin("flask")
    app = flask.Flask("test")
    got: list[bytes] = []

    @app.route("/", methods=["POST"])
    def take() -> str:
        source = from_stream2py(reader, REQUEST, live=False)
        got.append(b"".join(chunk.data.tobytes() for chunk in all_of(source)))
        return "thanks"

    body = np.random.default_rng(3).bytes(100_001)
    answer = app.test_client().post("/", data=body)
    assert answer.text == "thanks"
    assert got == [body]
