"""What happens in the demo and when: a cable is pulled, something goes bang, the past is saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reactivex.operators import take_while

from rxstream import operators as ops
from rxstream.data.chunk import Chunk
from rxstream.data.clock import now_ns
from rxstream.demo.inputs import Input
from rxstream.demo.scene import Scene
from rxstream.sinks.wav import WavSink, wav

__all__ = ["Moment", "Plan", "Story"]

_LATEST = 700_000_000  # so long after it was taken anything has come [ns]


@dataclass(frozen=True)
class Plan:
    """When things happen, in seconds from the start [s].

    Attributes
    ----------
    seconds
        Length of the demo.
    unplug, replug
        When a cable is pulled, and put back.
    bang
        When something goes bang in the world of the twins.
    deadline
        When a moment is saved although nothing was loud.
    before, after
        How much is saved before and after the event.
    """

    seconds: float
    unplug: float
    replug: float
    bang: float
    deadline: float
    before: float
    after: float

    @classmethod
    def of(cls, seconds: float) -> "Plan":
        """Return the plan of a demo of so many seconds.

        Examples
        --------
        >>> Plan.of(15).bang, Plan.of(15).before
        (9.0, 5.0)
        """
        share = min(seconds, 15.0) / 15.0
        times = (share * seconds for seconds in (5.0, 6.0, 9.0, 9.8, 5.0, 1.0))
        return cls(seconds, *times)


@dataclass(frozen=True)
class Moment:
    """What was saved.

    Attributes
    ----------
    event
        When it happened [ns].
    what
        What it was.
    start, end
        From when to when it is saved [ns].
    """

    event: int
    what: str
    start: int
    end: int


class Story:
    """Does what is due; asked often, by one thread.

    Parameters
    ----------
    plan
        When what happens.
    inputs
        The devices, open; the first twin among them is the one whose cable is pulled.
    scene
        The world of the twins.
    folder
        Where the moment's sound is stored.
    say
        Tells people, in a line.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Sequence[Input],
        scene: Scene,
        folder: Path,
        say: Callable[[str], object],
    ) -> None:
        self.plan, self.start = plan, now_ns()
        self.moment: Moment | None = None
        self.path = folder / "moment.wav"
        self.saved: WavSink | None = None
        self.chunks: dict[str, Chunk] = {}
        """What each device gave then, by its key."""
        self._say, self._inputs = say, inputs
        self._unplugged = next(item for item in inputs if item.twin is not None)
        self._ear = next(item for item in inputs if item.key == "microphone")
        self._loud: int | None = None
        self._state = "plugged"
        self._bang = scene.bang = self.start + round(plan.bang * 1e9)

    @property
    def seconds(self) -> float:
        """Since the start [s]."""
        return (now_ns() - self.start) / 1e9

    def hear(self, when: int) -> None:
        """Take note of a loud moment [ns]; called by the analysis in its own thread."""
        early = when < self.start + round(self.plan.before * 1e9)
        if self._loud is None and not early:
            self._loud = when

    def step(self) -> None:
        """Do what is due."""
        seconds = self.seconds
        self._play_with_the_cable(seconds)
        if self.moment is not None:
            if not self.chunks and now_ns() > self.moment.end + _LATEST:
                self.look_back()
            return
        if self._loud is not None:
            self._capture(self._loud, "a loud noise")
        elif seconds >= self.plan.deadline:
            self._capture(self._bang, "a moment that the demo chose, as nothing was loud")

    def finish(self, *, cut: bool) -> None:
        """Come to an end; with ``cut``, because the user pressed Ctrl-C."""
        if self.moment is None:
            what = "you pressed Ctrl-C" if cut else "the end of the demo"
            self._capture(now_ns(), what)

    def look_back(self) -> None:
        """Take what the devices gave around the event out of their windows; once."""
        if self.moment is None or self.chunks:
            return
        for item in self._inputs:
            self.chunks[item.key] = item.device.between(self.moment.start, self.moment.end)

    def _play_with_the_cable(self, seconds: float) -> None:
        twin, title = self._unplugged.twin, self._unplugged.title
        if twin is None:
            return
        state = self._unplugged.device.state
        if self._state == "plugged" and seconds >= self.plan.unplug:
            twin.unplug()
            self._state = "out"
            self._say(f"the {title} is unplugged (by the demo, on purpose)")
        elif self._state == "out" and seconds >= self.plan.replug:
            twin.replug()
            self._state = "waiting"
        elif self._state == "waiting" and state == "open":
            self._state = "back"
            self._say(f"the {title} is plugged in again, and its readers go on by themselves")

    def _capture(self, event: int, what: str) -> None:
        plan = self.plan
        begin = max(self.start, event - round(plan.before * 1e9))
        end = event + round(plan.after * 1e9)
        self.moment = Moment(event, what, begin, end)
        at = (event - self.start) / 1e9
        self._say(f"{what}, at {at:.2f} s: saving from {(event - begin) / 1e9:.1f} s before it on")
        self.saved = wav(self.path)
        until: Callable[[Chunk], bool] = lambda chunk: chunk.start < end  # noqa: E731
        self._ear.device.pipe(ops.rewind(to=begin), take_while(until)).subscribe(self.saved)
