"""Several streams and their events, each on a thread of its own, into one row of clips."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from threading import RLock
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip, MissingReason
from rxstream.errors import ParameterError
from rxstream.operators.clips.capture_step import CaptureStep

__all__ = ["Run"]


class Run:
    """One subscription: the streams' and the events' threads, one at a time."""

    def __init__(self, state: CaptureStep, observer: abc.ObserverBase[Clip]) -> None:
        self._state, self._observer = state, observer
        self._lock = RLock()
        self._early: list[Any] | None = []  # events that came while streams were subscribed to
        self._ready: deque[Clip] = deque()
        self._ending: Callable[[], None] | None = None
        self._giving = self._stopped = False

    def start(
        self,
        events: Observable[Any],
        streams: Iterable[Observable[Chunk]],
        scheduler: abc.SchedulerBase | None,
    ) -> abc.DisposableBase:
        """Subscribe to the streams, then to the events; nothing is judged before that is done."""
        everything = CompositeDisposable(Disposable(self._stop))
        for port, stream in enumerate(streams):
            everything.add(
                stream.subscribe(
                    partial(self._do, partial(self._state.push, port)),
                    partial(self._over, port, "stream failed"),
                    partial(self._over, port, "stream ended", None),
                    scheduler=scheduler,
                )
            )
        everything.add(
            events.subscribe(self._event, self._failed, self._completed, scheduler=scheduler)
        )
        with self._lock:
            early, self._early = self._early or [], None
            self._do(self._take_all, early)
        return everything

    def _take_all(self, items: list[Any]) -> None:
        for item in items:
            self._state.take(item)

    def _event(self, item: Any) -> None:
        with self._lock:
            if self._early is not None:
                self._early.append(item)
            else:
                self._do(self._state.take, item)

    def _do(self, change: Callable[[Any], object], item: Any) -> None:
        """Change the state and give what is ready; under the lock, so a slow observer holds us.

        Its streams are not held: they wait in their windows.
        """
        with self._lock:
            if self._stopped:
                return
            try:
                change(item)
                ready = self._state.settle() if self._early is None else []
            except Exception as error:  # noqa: BLE001 - the Rx contract: it travels downstream
                self._stopped = True
                self._observer.on_error(error)
                return
            over = self._state.done and self._early is None
            self._give(ready, self._observer.on_completed if over else None)

    def _give(self, clips: list[Clip], ending: Callable[[], None] | None = None) -> None:
        self._ready.extend(clips)
        self._ending = self._ending or ending
        if self._giving:  # the observer has itself caused this: it gets them when it is done
            return
        self._giving = True
        try:
            while self._ready and not self._stopped:
                self._observer.on_next(self._ready.popleft())
        finally:
            self._giving = False
        if self._ending and not self._stopped:
            self._stopped = True
            self._ending()

    def _over(self, port: int, reason: MissingReason, _error: Exception | None) -> None:
        self._do(lambda _: setattr(self._state.strips[port], "over", reason), None)

    def _completed(self) -> None:
        self._do(lambda _: setattr(self._state, "events_over", True), None)

    def _failed(self, error: Exception) -> None:
        with self._lock:
            with suppress(ParameterError):  # of an event; the error that came is the one to tell
                self._take_all(self._early or [])
            self._give(self._state.settle("events failed"), partial(self._observer.on_error, error))

    def _stop(self) -> None:
        self._stopped = True
