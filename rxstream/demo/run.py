"""The demo: several devices, three readers each, a pulled cable, and a look into the past."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console

from rxstream.data.clip import Clip
from rxstream.demo.inputs import Input, find_inputs, spare_input
from rxstream.demo.readers import start_readers
from rxstream.demo.report import judge, print_report
from rxstream.demo.scene import Scene
from rxstream.demo.show import Display, introduce
from rxstream.demo.story import Plan, Story, load
from rxstream.errors import MissingExtraError, ParameterError
from rxstream.sinks import video

__all__ = ["run_demo"]

# A shorter demo is too short for what is to happen [s].
_MIN_SECONDS = 4.0
# Between two looks at the readers [s]: often enough to see their greatest lag.
_TICK = 0.1
# Time that readers may take to finish [s].
_DRAIN = 10.0
# The same after a signal, whose sender will not wait for ever [s].
_LAST_DRAIN = 2.0


def run_demo(console: Console, seconds: float, folder: Path, *, simulated: bool = False) -> int:
    """Run the demo and return its exit code: 0, or 1 if something was lost unexpectedly.

    Parameters
    ----------
    console
        Where to show it.
    seconds
        Length of the demo [s], at least 4.
    folder
        Folder of the files; made if it is not there.
    simulated
        Simulate all devices.

    Raises
    ------
    ParameterError
        If it is too short, or there can be no such folder.
    """
    if not _MIN_SECONDS <= seconds < 3600:
        msg = f"seconds must be {_MIN_SECONDS:g} to 3600, not {seconds:g}"
        raise ParameterError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {str(folder)!r}: {error.strerror}; choose another by --out"
        raise ParameterError(msg) from error
    # Before the devices open: their files begin with their first samples.
    load()
    scene, opened = Scene(), list[Input]()
    try:
        with _quiet():
            inputs = find_inputs(scene, simulated=simulated, opened=opened.append)
        if not any(item.simulated for item in inputs):
            inputs.append(spare_input(scene))
            opened.append(inputs[-1])
        return _Demo(console, Plan.of(seconds), folder, scene, inputs).run()
    finally:
        for item in opened:
            item.device.close(0.0)


class _Demo:
    """One demo, with devices that are open."""

    def __init__(
        self, console: Console, plan: Plan, folder: Path, scene: Scene, inputs: list[Input]
    ) -> None:
        self._console, self._plan, self._folder, self._inputs = console, plan, folder, inputs
        self._hurry = Event()
        # At the end the slow reader is to be behind by so much [s].
        lag = min(5.0, plan.seconds / 3)
        slow = plan.seconds / (plan.seconds - lag)
        self._readers = [
            start_readers(item, folder, slow=slow, hurry=self._hurry) for item in inputs
        ]
        self._display = Display(console, plan.seconds)
        self._story = Story(plan, inputs, scene, folder, self._display.say)

    def run(self) -> int:
        """Run it to the end, or until Ctrl-C; return the exit code."""
        introduce(self._console, self._plan, self._inputs)
        cut = False
        # SIGTERM or SIGHUP: no less a reason to complete the files than Ctrl-C
        ended: SystemExit | None = None
        with self._display:
            try:
                self._play()
            except KeyboardInterrupt:
                cut = True
            except SystemExit as signal:
                cut, ended = True, signal
            self._story.finish(cut=cut)
            self._close(_DRAIN if ended is None else _LAST_DRAIN)
        if ended is not None:
            raise ended
        outcomes = [judge(readers) for readers in self._readers]
        error = self._story.sink.error
        more = [f"saving the moment: {error}"] if error else []
        well = print_report(self._console, outcomes, self._story.start, list(self._files()), more)
        return 0 if well else 1

    def _play(self) -> None:
        story, tick = self._story, Event()
        while story.seconds < self._plan.seconds:
            story.step()
            for readers in self._readers:
                readers.watch()
            self._display.update(self._readers)
            tick.wait(_TICK)

    def _close(self, drain: float) -> None:
        """Let every reader finish, the slow one faster than before."""
        self._display.say("closing: every reader gets the rest of what it has not had yet")
        for readers in self._readers:
            readers.watch()
            device = readers.input.device
            readers.gone = readers.input.simulated is None and device.state in ("lost", "failed")
        self._hurry.set()
        for readers in self._readers:
            readers.input.device.close(drain)
        sinks = [sink for readers in self._readers for sink in readers.sinks.values()]
        for sink in (*sinks, self._story.sink):
            sink.wait(drain)
        self._display.update(self._readers)

    def _files(self) -> Iterator[tuple[Path, str]]:
        """Yield the files that were written, each with its content in words."""
        for readers in self._readers:
            if readers.path.exists():
                yield readers.path, readers.stored
            sink = readers.sinks["storing"]
            if isinstance(sink, video) and sink.times_path.exists():
                yield sink.times_path, "when each frame was taken"
        if self._story.clip is not None:
            yield from self._moment(self._story.clip)

    def _moment(self, clip: Clip) -> Iterator[tuple[Path, str]]:
        """Draw the moment that was saved; yield its files."""
        (event,), (time,) = clip.events, clip.times
        before = (time - max(clip.start, self._story.start)) / 1e9
        if self._story.sink.path.exists():
            yield self._story.sink.path, f"sound from {before:.1f} s before the event on"
        try:
            figure: Any = clip.plot()[0].figure
        except MissingExtraError as error:
            self._console.print(f"No picture of the moment: {error}", style="yellow")
            return
        what = str(event)
        figure.suptitle(
            f"{what[0].upper()}{what[1:]}, and the {before:.1f} s before it, which were still there"
        )
        path = self._folder / "moment.png"
        figure.savefig(path, dpi=100)
        yield path, "picture of that moment: look at it"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep drivers written in C (ALSA, OpenCV) from printing what they did not find."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):
        # There is no stderr, e.g. under pythonw.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
