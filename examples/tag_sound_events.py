"""Tag sound events: a line in tags.csv and a sound file for everything that is heard.

An event is a stretch of sound above a level. Each gets a tag, here by a simple rule about its
spectrum; put your own into `tag`. Ctrl-C ends it.

    python examples/tag_sound_events.py --out events
    python examples/tag_sound_events.py --simulated --seconds 20     (without hardware)
"""

import argparse
import csv
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rxstream
from rxstream import Chunk, Device
from rxstream import operators as ops
from rxstream.data.clip import Clip
from rxstream.data.clock import format_time
from rxstream.devices.simulated import Simulated
from rxstream.sinks import wav

COLUMNS = ("start_ns", "end_ns", "duration_s", "peak_dbfs", "tag", "file")
PAUSE = 0.1  # a sound is over when it has been quiet for so long [s]


def scaled(sound: Chunk) -> NDArray[np.float64]:
    """Return the samples of the first channel in [-1, 1)."""
    data = sound.data.reshape(len(sound), -1)[:, 0]
    full = 1.0 if data.dtype.kind == "f" else float(np.iinfo(data.dtype).max) + 1
    return data.astype(np.float64) / full


def tag(sound: Chunk) -> str:
    """Say what a sound is: a tone, if most of its power lies in one place of the spectrum."""
    power = np.abs(np.fft.rfft(scaled(sound))) ** 2
    power[0] = 0.0
    peak, width = int(power.argmax()), 2 + len(power) // 200
    if power[max(0, peak - width) : peak + width].sum() < 0.5 * power.sum():
        return "noise"
    return f"tone {peak * (sound.rate or 0.0) / len(sound):.0f} Hz"


def save(clip: Clip, folder: Path) -> None:
    """Write the sound with what was before and after, and a line for each event in it."""
    name = f"{format_time(clip.start).replace(':', '-')}.wav"
    with wav(folder / name) as sink:
        sink.on_next(clip["mic"])
    with (folder / "tags.csv").open("a", newline="", encoding="utf-8") as file:
        for event in clip.events:
            peak = 20 * np.log10(np.abs(scaled(event)).max(initial=1e-9))
            row = (event.start, event.end, event.duration, f"{peak:.1f}", tag(event), name)
            csv.writer(file).writerow(row)
            print(f"{name}: {tag(event)}, {event.duration:.2f} s, {peak:.0f} dBFS", flush=True)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mic", default="audio", help="as `rxstream devices` shows it")
    parser.add_argument("--simulated", action="store_true", help="simulate one")
    parser.add_argument("--level", type=float, default=-20.0, help="what is an event [dBFS]")
    parser.add_argument("--pad", type=float, default=0.25, help="sound around an event [s]")
    parser.add_argument("--seconds", type=float, help="how long; default: until Ctrl-C")
    parser.add_argument("--out", type=Path, default=Path("events"), help="folder to write to")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Listen until it is over."""
    args = arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "tags.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(COLUMNS)
    if args.simulated:
        mic = Device(Simulated.microphone(), name="mic")
    else:
        mic = rxstream.open(args.mic, name="mic")
    dtype = mic.info.dtype
    full = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    level = full * 10 ** (args.level / 20)

    def loud(data: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(np.abs(data.astype(np.float64)).max(axis=-1) > level)

    over = threading.Event()
    mic.pipe(
        ops.gate(loud, hold=PAUSE),
        ops.capture(mic, before=args.pad, after=args.pad, events="chunks"),
    ).subscribe(lambda clip: save(clip, args.out), print, over.set)
    with mic, suppress(KeyboardInterrupt):
        print("Listening; Ctrl-C ends it.", flush=True)
        over.wait(args.seconds)
    over.wait(5)


if __name__ == "__main__":
    main()
