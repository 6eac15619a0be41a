"""Save before and after: sound and frames around a loud noise or a red frame.

Whatever of the two happens, the clip holds both streams, from before it to after it: each has a
folder with mic.wav, cam.mkv, and why.txt. Ctrl-C ends it.

    python examples/save_before_after.py --out clips
    python examples/save_before_after.py --simulated --seconds 20     (without hardware)

Devices are written as `rxstream devices` shows them; --cam may be a URL or a file:
--mic audio:device=USB --cam camera:source=rtsp://host/door
"""

import argparse
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import reactivex as rx
from numpy.typing import NDArray

import rxstream
from rxstream import Device
from rxstream import operators as ops
from rxstream.data.clip import Clip
from rxstream.data.clock import format_time
from rxstream.devices.simulated import Simulated
from rxstream.sinks import video, wav


def redness(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the share of red, 0 to 1, of each frame ``(n, height, width, 3)``, blue first."""
    few = frames[:, ::4, ::4].astype(np.int16)
    red = (few[..., 2] > 120) & (few[..., 2] > 2 * np.maximum(few[..., 0], few[..., 1]))
    share: NDArray[np.float64] = red.mean(axis=(1, 2))
    return share


def save(clip: Clip, folder: Path) -> None:
    """Write every stream of a clip, and what happened."""
    here = folder / format_time(clip.start).replace(":", "-")
    here.mkdir()
    for name, sink in (("mic", wav(here / "mic.wav")), ("cam", video(here / "cam.mkv"))):
        with sink:
            if name in clip.streams:
                sink.on_next(clip[name])
    lines = [
        f"{event.info.name} {format_time(event.start)} {event.duration:.3f} s"
        for event in clip.events
    ]
    lines += [f"missing {part}" for part in clip.missing]
    (here / "why.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{here}: {', '.join(lines)}", flush=True)


def beeps(index: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return sound ``(n, 1)`` at 48 kHz: a beep of 0.2 s in every 8."""
    seconds = index / 48_000 % 8
    sound = np.where((seconds > 3) & (seconds < 3.2), 0.8 * np.sin(6280 * seconds), 0.0)
    return sound.astype(np.float32)[:, None]


def lights(index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return frames ``(n, 48, 64, 3)`` at 30 Hz: red for half a second in every 8."""
    frames = np.full((len(index), 48, 64, 3), 60, np.uint8)
    frames[index / 30 % 8 > 7.5] = (20, 20, 230)
    return frames


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mic", default="audio", help="the microphone")
    parser.add_argument("--cam", default="camera", help="the camera")
    parser.add_argument("--simulated", action="store_true", help="simulate both")
    parser.add_argument("--level", type=float, default=-12.0, help="what is loud [dBFS]")
    parser.add_argument("--red", type=float, default=0.3, help="what is red, 0 to 1")
    parser.add_argument("--before", type=float, default=2.0, help="before it happens [s]")
    parser.add_argument("--after", type=float, default=1.0, help="after it has happened [s]")
    parser.add_argument("--seconds", type=float, help="how long; default: until Ctrl-C")
    parser.add_argument("--out", type=Path, default=Path("clips"), help="folder to write to")
    return parser.parse_args(argv)


def devices(args: argparse.Namespace) -> tuple[Device, Device]:
    """Return the microphone and the camera."""
    if args.simulated:
        sound = Simulated(shape=(1,), signal=beeps)
        frames = Simulated(rate=30.0, shape=(48, 64, 3), dtype=np.uint8, signal=lights)
        return Device(sound, name="mic"), Device(frames, name="cam", history=20)
    mic = rxstream.open(args.mic, name="mic")
    return mic, rxstream.open(args.cam, name="cam", history=20)


def main(argv: list[str] | None = None) -> None:
    """Watch and listen until it is over."""
    args = arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    mic, cam = devices(args)
    dtype = mic.info.dtype
    level = 10 ** (args.level / 20) * (1.0 if dtype.kind == "f" else np.iinfo(dtype).max)

    def is_loud(data: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(np.abs(data.astype(np.float64)).max(axis=-1) > level)

    loud = mic.pipe(ops.map_data(lambda data: data, name="loud"), ops.gate(is_loud, hold=0.1))
    red = cam.pipe(ops.map_data(redness, name="red"), ops.gate(args.red))
    over = threading.Event()
    rx.merge(loud, red).pipe(
        ops.capture(mic, cam, before=args.before, after=args.after, events="chunks")
    ).subscribe(lambda clip: save(clip, args.out), print, over.set)
    with mic, cam, suppress(KeyboardInterrupt):
        print("Watching and listening; Ctrl-C ends it.", flush=True)
        over.wait(args.seconds)
    over.wait(5)


if __name__ == "__main__":
    main()
