"""Frames of 720p to a video file: against OpenCV's writer, which a kill costs the whole file."""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from common import Case

from rxstream import Chunk, StreamInfo
from rxstream.sinks import video

_SHAPE = (720, 1280, 3)
_INFO = StreamInfo("camera", 30.0, _SHAPE, np.dtype(np.uint8))


def _scene(count: int) -> list[np.ndarray]:
    """Return frames of a scene that moves, with the noise of a camera."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    still = np.stack([(x * 0.2 + y * 0.1) % 256, (x * 0.05 + 60) % 256, (y * 0.3) % 256], -1)
    frames = (np.roll(still, 7 * k, 1) + rng.normal(0, 3, _SHAPE) for k in range(count))
    return [np.clip(frame, 0, 255).astype(np.uint8) for frame in frames]


def _ours(frames: list[np.ndarray], suffix: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with video(Path(folder, f"a{suffix}")) as sink:
            for k, frame in enumerate(frames):
                sink.on_next(Chunk.regular(frame[None], _INFO, start=k * 33_333_333, index=k))
        took = time.perf_counter() - begin
    assert sink.samples == len(frames)
    return len(frames) / took


def _opencv(frames: list[np.ndarray], suffix: str, codec: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        code, size = cv2.VideoWriter.fourcc(*codec), (_SHAPE[1], _SHAPE[0])
        writer = cv2.VideoWriter(str(Path(folder, f"a{suffix}")), code, 30.0, size)
        for frame in frames:
            writer.write(frame)
        writer.release()
        return len(frames) / (time.perf_counter() - begin)


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    frames = _scene(4 if quick else 15) * (1 if quick else 6)
    kinds = (("MJPG", ".avi"), ("mp4v", ".mp4"))
    return [
        Case(f"video 720p, {codec} in {suffix}", lambda s=suffix: _ours(frames, s),
             lambda s=suffix, c=codec: _opencv(frames, s, c), "OpenCV", "frames/s", True)
        for codec, suffix in kinds
    ]  # fmt: skip
