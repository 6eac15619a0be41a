"""Record as you type: a sound file and a text for each stretch of typing.

The sound begins before the first key and ends after the last one: the past comes from the
microphone's history. Type in this terminal; Ctrl-C ends it.

    python examples/record_as_you_type.py --out typing
    python examples/record_as_you_type.py --simulated --seconds 20     (without hardware)

Microphone and keyboard are written as `rxstream devices` shows them, e.g.
--mic audio:device=USB --keys keyboard:tty=/dev/pts/3
"""

import argparse
import threading
from contextlib import suppress
from pathlib import Path

import rxstream
from rxstream import Device
from rxstream import operators as ops
from rxstream.data.clip import Clip
from rxstream.data.clock import format_time
from rxstream.devices.keyboard import typed
from rxstream.devices.simulated import Simulated
from rxstream.sinks import wav


def save(clip: Clip, folder: Path) -> None:
    """Write one session: what was said, and what was typed."""
    name = format_time(clip.start).replace(":", "-")
    sound, text = clip["mic"], typed(clip.events[0])
    with wav(folder / f"{name}.wav") as sink:
        sink.on_next(sound)
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    print(f"{name}.wav: {sound.duration:.1f} s, {text!r}", *clip.missing, sep="\n  ", flush=True)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mic", default="audio", help="the microphone")
    parser.add_argument("--keys", default="keyboard", help="the keyboard")
    parser.add_argument("--simulated", action="store_true", help="simulate both")
    parser.add_argument("--gap", type=float, default=2.0, help="a pause that ends a session [s]")
    parser.add_argument("--before", type=float, default=2.0, help="sound before the first key [s]")
    parser.add_argument("--after", type=float, default=2.0, help="sound after the last key [s]")
    parser.add_argument("--seconds", type=float, help="how long; default: until Ctrl-C")
    parser.add_argument("--out", type=Path, default=Path("typing"), help="folder to write to")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Record until it is over, then wait for the end of the last session."""
    args = arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.simulated:
        mic, keys = Device(Simulated.microphone(), name="mic"), Device(Simulated.keyboard(rate=2.0))
    else:
        mic, keys = rxstream.open(args.mic, name="mic"), rxstream.open(args.keys)

    over = threading.Event()
    keys.pipe(
        ops.sessions(args.gap),
        ops.capture(mic, before=args.before, after=args.after, events="chunks", merge=False),
    ).subscribe(lambda clip: save(clip, args.out), print, over.set)

    with mic:
        with keys, suppress(KeyboardInterrupt):
            print("Type; Ctrl-C ends it.", flush=True)
            over.wait(args.seconds)
        over.wait(args.after + 5)  # the last session is recorded to its end


if __name__ == "__main__":
    main()
