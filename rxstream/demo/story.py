"""What happens in the demo: a cable is pulled, something goes bang, and the past of it is saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import reactivex as rx
from reactivex import Observable, compose
from reactivex.operators import do_action, filter, map, take  # noqa: A004
from reactivex.subject import Subject

from rxstream import operators as ops
from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.data.clock import now_ns
from rxstream.demo.inputs import Input
from rxstream.demo.scene import CAR, Scene
from rxstream.operators.values.samples import Sample
from rxstream.sinks import wav

__all__ = ["Moment", "Plan", "Story", "load", "loud_moments"]

# A noise is loud if it is above the background by so much [dB], and above this (full scale is 1):
# a clap is by 30 to 50 dB, a quiet room below 0.01.
_ABOVE, _AUDIBLE = 25.0, 0.03
# The background is a mean over so long [s]; it must be known before the noise of a short demo.
_BACKGROUND = 1.0
# Past of the engine's speed that can be saved [s]; more than `Plan.before`.
_HISTORY = 20.0


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
        When something goes bang in the simulated world.
    deadline
        Up to when nothing was loud, if a moment is saved all the same.
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


class Moment(NamedTuple):
    """An event that is worth saving."""

    time: int
    """When it was [ns]."""
    what: str

    def __str__(self) -> str:
        return self.what


def loud_moments() -> Callable[[Observable[Chunk]], Observable[Moment]]:
    """Emit a `Moment` for the first sample of each loud noise in a sound."""
    return compose(
        ops.onset(_AUDIBLE, above=_ABOVE, background=_BACKGROUND),
        ops.samples(),
        map(_loud),
    )


def _loud(sample: Sample) -> Moment:
    return Moment(sample.time, "a loud noise")


def engine_speed() -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Decode the speed of the engine [1/min] of CAN messages, and keep its past."""
    return compose(
        ops.decode_can(CAR, ["EngineSpeed"]),
        ops.map_data(lambda messages: messages["EngineSpeed"], name="engine", unit="1/min"),
        ops.gate(np.isfinite),  # the other messages have no such signal
        ops.replay_window(_HISTORY),
    )


def load() -> None:
    """Load the libraries that the operators need, which may take a second."""
    loud_moments()
    engine_speed()


class Story:
    """Does what is due; asked often, by one thread.

    The moment that is saved is the first loud noise, or one that the demo chooses. `capture` cuts
    it out of all devices: the past from their windows, the rest as it comes.

    Parameters
    ----------
    plan
        When what happens.
    inputs
        The devices, open; the first simulated one is the one whose cable is pulled.
    scene
        The simulated world.
    folder
        Folder of the moment's sound.
    say
        Shows a line.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Sequence[Input],
        scene: Scene,
        folder: Path,
        say: Callable[[str], object],
    ) -> None:
        self.plan = plan
        self.clip: Clip | None = None
        """What was saved."""
        self.sink = wav(folder / "moment.wav")
        self._say, self._chosen = say, Subject[Moment]()
        self._unplugged = next(item for item in inputs if item.simulated)
        self._cable = "plugged"
        streams: dict[str, Any] = {item.key: item.device for item in inputs}
        if any(item.key == "can" and item.simulated for item in inputs):
            streams["engine"] = streams["can"].pipe(engine_speed())
        self._heard = 0  # end of the sound that was looked at [ns]
        loud = streams["microphone"].pipe(
            do_action(self._hear), loud_moments(), filter(self._is_due)
        )
        sound = rx.merge(loud, self._chosen).pipe(
            take(1),
            do_action(self._announce),
            ops.capture(before=plan.before, after=plan.after, time=_time_of, **streams),
            do_action(self._keep),
            map(_sound_of),
        )
        self.start = now_ns()
        self._bang = scene.bang = self.start + round(plan.bang * 1e9)
        sound.subscribe(self.sink)

    @property
    def seconds(self) -> float:
        """Time since the start [s]."""
        return (now_ns() - self.start) / 1e9

    def step(self) -> None:
        """Do what is due."""
        self._play_with_the_cable()
        # by what was heard: on a busy machine the bang may not have come to its reader yet
        if self._heard >= self.start + round(self.plan.deadline * 1e9):
            self._choose(self._bang, "a moment that the demo chose, as nothing was loud")

    def finish(self, *, cut: bool) -> None:
        """Come to an end; with ``cut``, because of Ctrl-C or another signal."""
        self._choose(now_ns(), "you stopped the demo" if cut else "the end of the demo")

    def _choose(self, time: int, what: str) -> None:
        """Save a moment, if none has been saved."""
        self._chosen.on_next(Moment(time, what))

    def _hear(self, sound: Chunk) -> None:
        self._heard = sound.end

    def _is_due(self, moment: Moment) -> bool:
        """Return whether all that is to be saved before a moment has been there."""
        return moment.time >= self.start + round(self.plan.before * 1e9)

    def _announce(self, moment: Moment) -> None:
        at = (moment.time - self.start) / 1e9
        before = min(at, self.plan.before)
        self._say(f"{moment.what}, at {at:.2f} s: saving from {before:.1f} s before it on")

    def _keep(self, clip: Clip) -> None:
        self.clip = clip

    def _play_with_the_cable(self) -> None:
        source, title, seconds = self._unplugged.simulated, self._unplugged.title, self.seconds
        if source is None:
            return
        if self._cable == "plugged" and seconds >= self.plan.unplug:
            source.unplug()
            self._cable = "out"
            self._say(f"the {title} is unplugged (by the demo, on purpose)")
        elif self._cable == "out" and seconds >= self.plan.replug:
            source.replug()
            self._cable = "waiting"
        elif self._cable == "waiting" and self._unplugged.device.state == "open":
            self._cable = "back"
            self._say(f"the {title} is plugged in again, and its readers go on by themselves")


def _time_of(moment: Moment) -> int:
    return moment.time


def _sound_of(clip: Clip) -> Chunk:
    return clip["microphone"]
