"""What a subscription of a stream calls: it ends that one alone when somebody raises, and says so.

RxPY lets an exception go up to whoever emits. For a hot stream that is a thread in which nobody
waits for it: of a device, of a timer, of a scheduler. Its owner would die of it, the subscription
would go on, and whoever waits for its end would wait for ever. So an exception of a *subscriber* is
reported where the stream reports its faults, and one of an *operator* goes on downstream, as Rx
wants it, to the end of the chain.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from types import TracebackType
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.internal import default_error, noop
from reactivex.observer import AutoDetachObserver
from reactivex.scheduler import CurrentThreadScheduler

from rxstream.errors import SubscriberError
from rxstream.printable import error_repr, first_time_logged, get_logger, shown
from rxstream.steps.delivery import deliveries, delivering, numbers
from rxstream.steps.step_error import belongs_to_caller, step_error

__all__ = ["Guarded", "Unsubscribed", "belongs_to_caller", "is_ending", "subscribe_guarded"]

_logger = get_logger(__name__)

# Longest text of an error in the log [characters].
_MAX_ERROR = 300

_Report = Callable[[SubscriberError], None]


class Unsubscribed(Exception):  # noqa: N818 - it is no error: it ends a source nobody listens to
    """Raised by a subscriber to end a source that emits while it is subscribed to."""


class _Here(threading.local):
    subscribing = False  # what subscribes now is an operator
    ending: tuple[Any, ...] = ()  # streams whose end is being delivered in this thread


_here = _Here()


def is_ending(stream: object) -> bool:
    """Whether this thread delivers the end of something made of ``stream``.

    Whoever subscribes again inside the end, as RxPY's ``retry()`` and ``repeat()`` do, would get
    the same end again, and so on for ever.
    """
    left, seen = list(_here.ending), set()
    while left:
        one = left.pop()
        if one is stream:
            return True
        if id(one) not in seen:
            seen.add(id(one))
            left += [s for s in getattr(one, "inputs", ()) if s is not None]
    return False


@contextmanager
def _ending(stream: object) -> Iterator[None]:
    before = _here.ending
    _here.ending = (*before, stream)
    try:
        yield
    finally:
        _here.ending = before


class Guarded(abc.ObserverBase[Any]):
    """Gives items to functions, until the end or until it is disposed of.

    Whoever delivers many items, as a worker does, may call the function itself for each, unless it
    is stopped, and hand over what that raises: it is the same as ``on_next``, and quicker.

    Attributes
    ----------
    function
        What is called with each item.
    is_stopped
        Whether it is not to be called any more.
    """

    __slots__ = ("_completed", "_error", "_stream", "_subscription", "function", "is_stopped")

    def __init__(
        self,
        stream: Any,
        on_next: Callable[[Any], Any] | None,
        on_error: Callable[[Any], Any] | None,
        on_completed: Callable[[], Any] | None,
    ) -> None:
        self._stream = stream
        self.function, self._error = on_next or noop, on_error or default_error
        self._completed = on_completed or noop
        self._subscription = SingleAssignmentDisposable()
        self.is_stopped = False

    def hold(self, subscription: abc.DisposableBase) -> None:
        """Take the subscription, to be disposed of at the end."""
        self._subscription.disposable = subscription

    @abstractmethod
    def take_raised(self, error: BaseException, item: Any) -> None:
        """Take what the function raised with an item; called while that is handled."""

    def on_error(self, error: Exception) -> None:
        """Pass on an error, and end."""
        if self.is_stopped:
            return
        self.is_stopped = True
        try:
            with _ending(self._stream):
                self._error(error)
        finally:
            self.dispose()

    def on_completed(self) -> None:
        """Pass on the end."""
        if self.is_stopped:
            return
        self.is_stopped = True
        try:
            with _ending(self._stream):
                self._completed()
        finally:
            self.dispose()

    def dispose(self) -> None:
        """Stop, and end the subscription."""
        self.is_stopped = True
        self._subscription.dispose()


class Subscriber(Guarded):
    """The end of a chain: functions of the program.

    What they raise ends this subscription. It is reported where the source reports its faults; a
    source that has no such place, as a cold one, gets the exception back.
    """

    __slots__ = ("_raised",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._raised: BaseException | None = None

    def on_next(self, value: Any) -> None:
        if self.is_stopped:
            self.dispose()
            return
        here = get_ident()
        # a worker has said so for all that it delivers; else as `delivering`: this runs for each
        # item
        outermost = here not in deliveries
        if outermost:
            deliveries[here] = next(numbers)
        try:
            try:
                self.function(value)
            finally:
                if outermost:
                    deliveries.pop(here, None)
        except BaseException as error:  # noqa: BLE001 - an exit of a thread that is not its own too
            self.take_raised(error, value)

    def on_error(self, error: Exception) -> None:
        if error is self._raised:
            # a cold source of RxPY passes on what its subscriber raised as an error of the source
            self.dispose()
            raise error
        if self._error is default_error and _report_of(self._stream) is not None:
            # nobody waits in this thread for an exception, and the subscriber has raised none
            if not self.is_stopped:
                _log_end(self._stream, error)
            self.dispose()
            return
        try:
            with delivering():
                super().on_error(error)
        except BaseException as raised:  # noqa: BLE001 - as above
            self.take_raised(raised, None)

    def on_completed(self) -> None:
        try:
            with delivering():
                super().on_completed()
        except BaseException as error:  # noqa: BLE001 - as above
            self.take_raised(error, None)

    def take_raised(self, error: BaseException, _item: Any) -> None:
        """End the subscription, report the exception that is being handled, or raise it."""
        self.is_stopped = True
        report = _report_of(self._stream)
        if report is None or isinstance(error, Unsubscribed):
            # Not disposed of before the source has it: a cold one asks here what to do with it.
            self._raised = error
            raise
        self.dispose()
        if belongs_to_caller(error):
            raise
        called = getattr(self.function, "__wrapped__", self.function)
        what = f"{_name(called)} raised and is cut off: {error_repr(error)}"
        _report(report, what, self._stream, error)

    def dispose(self) -> None:
        self._raised = None
        super().dispose()

    def after_subscribing(self, on_next: Callable[[Any], Any]) -> None:
        """Call the function itself from now on."""
        self.function = on_next


class OperatorInput(Guarded):
    """A subscription that an operator made: what it raises is an error of the stream behind it."""

    __slots__ = ()

    def on_next(self, value: Any) -> None:
        if self.is_stopped:
            return
        try:
            self.function(value)
        except BaseException as error:  # noqa: BLE001 - as above
            self.take_raised(error, value)

    def take_raised(self, error: BaseException, item: Any) -> None:
        """End it with the exception as its error; one that has its owner goes on to that."""
        if self.is_stopped or belongs_to_caller(error) or _is_of_subscriber(error):
            raise
        report = _report_of(self._stream)
        if report is not None:
            what = f"an operator behind it raised: {error_repr(error)}"
            _report(report, what, self._stream, error)
        # an exit too: somebody waits for the end
        self.on_error(step_error(error, item))


def subscribe_guarded(
    stream: Any,
    on_next: Any,
    on_error: Callable[[Any], Any] | None,
    on_completed: Callable[[], Any] | None,
    scheduler: abc.SchedulerBase | None,
) -> abc.DisposableBase:
    """Subscribe to a stream, as `Observable.subscribe` does."""
    if hasattr(on_next, "on_next"):
        on_next, on_error, on_completed = on_next.on_next, on_next.on_error, on_next.on_completed
    if _here.subscribing or _is_of_operator(on_next, on_error):
        made = OperatorInput(stream, on_next, on_error, on_completed)
        _subscribe(stream, made, scheduler)
        return Disposable(made.dispose)
    function = on_next or noop
    subscriber = Subscriber(stream, _as_program(function), on_error, on_completed)
    _subscribe(stream, subscriber, scheduler)
    subscriber.after_subscribing(function)
    return Disposable(subscriber.dispose)


def _as_program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that is called while its own subscription is being made.

    What it subscribes to is a subscription of the program, and no operator's.
    """

    def call(value: Any) -> None:
        before, _here.subscribing = _here.subscribing, False
        try:
            function(value)
        finally:
            _here.subscribing = before

    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


def _subscribe(stream: Any, observer: Guarded, scheduler: abc.SchedulerBase | None) -> None:
    def subscribe(*_: Any) -> None:
        try:
            made = stream._subscribe_core(observer, scheduler)  # noqa: SLF001 - as RxPY does
        except Exception as error:
            if observer.is_stopped:
                raise
            observer.on_error(error)
        else:
            observer.hold(made if hasattr(made, "dispose") else Disposable(made))

    # A cold source of RxPY emits on this scheduler: only when the whole chain is subscribed to, so
    # that it can be disposed of.
    trampoline = CurrentThreadScheduler.singleton()
    before, _here.subscribing = _here.subscribing, True
    try:
        if trampoline.schedule_required():
            trampoline.schedule(subscribe)
        else:
            subscribe()
    finally:
        _here.subscribing = before


def _is_of_operator(on_next: Any, on_error: Any) -> bool:
    """Whether a subscription is an operator's: its errors go on to the next observer."""
    return (
        isinstance(getattr(on_error, "__self__", None), AutoDetachObserver | Guarded)
        or (on_error is not None and _is_of_reactivex(on_error))
        or _is_of_reactivex(on_next)
    )


def _is_of_reactivex(function: Any) -> bool:
    # a plain function; the methods of its observers call what a program gave them
    return not hasattr(function, "__self__") and str(
        getattr(function, "__module__", "")
    ).startswith("reactivex.")


def _is_of_subscriber(error: BaseException) -> bool:
    """Whether an exception came through a `Subscriber`."""
    place: TracebackType | None = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in _OF_SUBSCRIBER:
            return True
        place = place.tb_next
    return False


_OF_SUBSCRIBER = {
    function.__code__
    for function in (Subscriber.on_next, Subscriber.on_error, Subscriber.on_completed)
}


def _report_of(stream: Any) -> _Report | None:
    """Return what the source of a stream reports its faults with, if it does."""
    while stream is not None:
        report: _Report | None = getattr(stream, "report_fault", None)
        if report is not None:
            return report
        stream = next(iter(getattr(stream, "inputs", ())), None)
    return None


def _report(report: _Report, what: str, stream: Any, error: BaseException) -> None:
    wrapped = SubscriberError(f"{stream.chain}: {what}")
    wrapped.__cause__ = error
    try:
        report(wrapped)
    except Exception:
        # a report that raises must not harm who emits
        _logger.exception("%s: the report of an error raised", stream.chain)


def _log_end(stream: Any, error: Exception) -> None:
    """Log that a stream has ended by an error, once for all subscribers that have no on_error."""
    if first_time_logged(error):
        what = shown(error, _MAX_ERROR)
        # a note says in which chunk a function raised: then its place helps, too
        raised = error if getattr(error, "__notes__", None) else None
        _logger.error("%s: the stream ended by an error: %s", stream.chain, what, exc_info=raised)


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"subscriber {name.rpartition('<locals>.')[2]}"
