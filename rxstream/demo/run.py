"""The demo: several devices, three readers each, a pulled cable, and a look into the past."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from rich.console import Console

from rxstream.demo.inputs import Input, find_inputs, spare_input
from rxstream.demo.moment import draw_moment
from rxstream.demo.readers import start_readers
from rxstream.demo.report import judge, print_report
from rxstream.demo.scene import Scene
from rxstream.demo.show import Display, introduce
from rxstream.demo.story import Plan, Story
from rxstream.errors import MissingExtraError, ParameterError
from rxstream.sinks.base import Sink
from rxstream.sinks.video import VideoSink

__all__ = ["run_demo"]

_LEAST = 4.0  # [s]; less is too short for what is to happen
_TICK = 0.1  # [s]
_DRAIN = 10.0  # how long readers may take to finish [s]


def run_demo(console: Console, seconds: float, folder: Path, *, twins: bool = False) -> int:
    """Run the demo and return its exit code: 0, or 1 if something was lost unexpectedly.

    Parameters
    ----------
    console
        Where to show it.
    seconds
        How long, at least 4 [s].
    folder
        Where the files go; made if it is not there.
    twins
        Simulate all devices.

    Raises
    ------
    ParameterError
        If it is too short, or there can be no such folder.
    """
    if not _LEAST <= seconds < 3600:
        msg = f"seconds must be {_LEAST:g} to 3600, not {seconds:g}"
        raise ParameterError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {str(folder)!r}: {error.strerror}; choose another by --out"
        raise ParameterError(msg) from error
    scene, opened = Scene(), list[Input]()
    try:
        with _quiet():
            inputs = find_inputs(scene, twins=twins, opened=opened.append)
        if all(item.twin is None for item in inputs):
            inputs.append(spare_input(scene))
            opened.append(inputs[-1])
        return _Demo(console, Plan.of(seconds), folder, scene, inputs).run()
    finally:
        for item in opened:
            item.device.close(0.0)


class _Demo:
    """One run of it, with devices that are open."""

    def __init__(
        self, console: Console, plan: Plan, folder: Path, scene: Scene, inputs: list[Input]
    ) -> None:
        self._console, self._plan, self._folder, self._inputs = console, plan, folder, inputs
        self._display = Display(console, plan.seconds)
        self._hurry = Event()
        self._story = Story(plan, inputs, scene, folder, self._display.say)
        lag = min(5.0, plan.seconds / 3)  # how far the slow reader comes to be behind [s]
        slow = plan.seconds / (plan.seconds - lag)
        self._readers = [
            start_readers(item, folder, slow=slow, hurry=self._hurry, loud=self._story.hear)
            for item in inputs
        ]

    def run(self) -> int:
        """Run it to the end, or until Ctrl-C; return the exit code."""
        introduce(self._console, self._plan, self._inputs)
        cut = False
        with self._display:
            try:
                self._play()
            except KeyboardInterrupt:
                cut = True
            self._story.finish(cut=cut)
            self._close()
        outcomes = [judge(readers) for readers in self._readers]
        start, files, saved = self._story.start, self._files(), self._story.saved
        more = [f"saving the moment: {saved.error}"] if saved and saved.error else []
        return 0 if print_report(self._console, outcomes, start, files, more) else 1

    def _play(self) -> None:
        story, tick = self._story, Event()
        while story.seconds < self._plan.seconds:
            story.step()
            for readers in self._readers:
                readers.watch()
            self._display.update(self._readers)
            tick.wait(_TICK)

    def _close(self) -> None:
        """Let every reader finish, the slow one faster than before."""
        self._display.say("closing: every reader gets the rest of what it has not had yet")
        for readers in self._readers:
            readers.watch()
            device = readers.input.device
            readers.gone = readers.input.twin is None and device.state in ("lost", "failed")
        self._hurry.set()
        for readers in self._readers:
            readers.input.device.close(_DRAIN)
        for sink in self._sinks():
            sink.wait(_DRAIN)
        self._story.look_back()
        self._display.update(self._readers)

    def _sinks(self) -> Iterator[Sink]:
        for readers in self._readers:
            yield from (reader.sink for reader in readers.all)
        if self._story.saved is not None:
            yield self._story.saved

    def _files(self) -> list[tuple[Path, str]]:
        """Return the files that were written, and what they hold; draw the last of them."""
        files = [(readers.path, readers.stored) for readers in self._readers]
        stores = [readers.store.sink for readers in self._readers]
        videos = [sink for sink in stores if isinstance(sink, VideoSink)]
        files += [(sink.times_path, "when each picture was taken") for sink in videos]
        story = self._story
        if story.moment is None or story.saved is None:
            return files
        before = (story.moment.event - story.moment.start) / 1e9
        files.append((story.saved.path, f"sound from {before:.1f} s before the event on"))
        picture = self._folder / "moment.png"
        try:
            draw_moment(picture, story.moment, story.chunks)
        except MissingExtraError as error:
            self._console.print(f"No picture of the moment: {error}", style="yellow")
        else:
            files.append((picture, "picture of that moment: look at it"))
        return [(path, what) for path, what in files if path.exists()]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep drivers written in C (ALSA, OpenCV) from telling what they did not find."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # there is no stderr, e.g. under pythonw
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
