"""Run a generator of an author as a source: the driver blocks, calls back, or is asked."""

from collections.abc import Callable, Generator
from dataclasses import replace
from threading import get_ident
from typing import Any, cast

from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.gate import Gate
from rxstream.authoring.phases import explain, explain_leaving, never_open
from rxstream.authoring.samples import Samples
from rxstream.data.clock import Duration, now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import DeviceError, EndOfStream, ParameterError, RxStreamError

__all__ = ["Make", "answers", "open_generator"]

Make = Callable[[Callable[[Any], None]], Generator[Any, None, Any]]
"""Makes the generator; takes the ``emit`` of an author."""


def open_generator(
    make: Make,
    info: StreamInfo,
    emit: Emit,
    fail: Fail,
    *,
    every: Duration | None = None,
    requires: str = "",
) -> Close | tuple[Close, StreamInfo]:
    """Run a generator up to its first ``yield``, which is when the device is open; then go on.

    Parameters
    ----------
    make
        Makes the generator.
    info
        Description of the stream, unless the first ``yield`` gives another.
    emit, fail
        Arguments of ``Source.open``.
    every
        Time from one value to the next of a device that is asked [s]; see `poll`.
    requires
        What to install by pip for the driver.

    Returns
    -------
    close
        As ``Source.open`` returns it.

    Raises
    ------
    DeviceNotFoundError, DeviceBusyError, MissingExtraError
        For what the driver raises before the first ``yield``.
    ParameterError
        If there is none.
    """
    gate = Gate(info, emit, fail)
    run = _Run(make(gate.put), gate, requires, asked=every is not None)
    learnt = run.start()
    # `read` returns readings alone
    take = cast("Emit", gate.pass_on)
    try:
        stop = poll(run.read, take, gate.fail, name=info.name, every=every, release=run.leave)
    except BaseException:
        run.leave()  # the system has no more threads
        raise

    def close() -> None:
        gate.shut()
        if gate.is_inside() and not run.is_here():
            # the driver may wait for this thread, its own, as it is closed; `read` ends it
            return
        try:
            stop()
        except DeviceError as error:
            late = run.explain_late()
            if late is None:
                raise
            raise late from error
        gate.wait_shut()

    return close if learnt is None else (close, learnt)


def answers(ask: Callable[[], Any], samples: Samples) -> Generator[Any, None, None]:
    """Ask once to see that the device is there, and then for each value."""
    before = now_ns()
    value = ask()
    first = None if value is None else samples.reading(value)
    if first is not None and first.bounds is None and first.device_time is None:
        first = replace(first, bounds=(before, now_ns()))
    yield
    yield first
    while True:
        yield ask()


class _Run:
    """One run of a generator."""

    def __init__(
        self, values: Generator[Any, None, Any], gate: Gate, requires: str, *, asked: bool
    ) -> None:
        self._values, self._gate, self._requires = values, gate, requires
        self._asked, self._name = asked, gate.info.name
        self._doing = ""  # what it is in the middle of
        self._thread = 0  # that reads

    def start(self) -> StreamInfo | None:
        """Run it up to its first ``yield``; return the description that this gives."""
        try:
            first = next(self._values)
        except StopIteration:
            raise never_open(self._name) from None
        except Exception as error:
            raise explain(self._name, error, opening=True, requires=self._requires) from error
        try:
            return self._gate.begin(first)
        except ParameterError as error:
            self._reject(error)
            raise

    def read(self) -> Reading | None:
        """Return the next reading; raise why there is none."""
        self._thread = get_ident()
        if self._gate.is_shut:
            raise EndOfStream
        self._doing = "answer" if self._asked else "yield"
        try:
            value = next(self._values)
        except StopIteration:
            raise EndOfStream from None
        except Exception as error:
            raise explain(self._name, error, opening=False, requires=self._requires) from error
        finally:
            self._doing = ""
        try:
            # skipped turns are counted in a reading with samples
            return None if value is None and self._asked else self._gate.reading(value)
        except RxStreamError as error:
            self._reject(error)
            raise

    def is_here(self) -> bool:
        """Whether the calling thread is the one that reads."""
        return self._thread == get_ident()

    def _reject(self, error: RxStreamError) -> None:
        """Raise an error where the value was yielded, so that the driver is closed, too."""
        try:
            self._values.throw(error)
        except StopIteration:
            return
        self._values.close()

    def leave(self) -> None:
        """Close the driver: raise GeneratorExit where the generator waits."""
        self._doing = "close"
        try:
            self._values.close()
        except RuntimeError as error:
            explained = explain_leaving(self._name, error, "with")
            if explained is None:
                raise
            raise explained from error
        finally:
            self._doing = ""

    def explain_late(self) -> DeviceError | None:
        """Return what the generator has not come back from; None if that is not it."""
        late = {
            "yield": "it has not yielded within 2 s; yield, bare, when nothing comes for 0.1 s",
            "answer": "it has not answered within 2 s; give its driver a shorter timeout",
            "close": "it is slow in closing, more than 2 s; it may still hold the device",
        }.get(self._doing)
        return DeviceError(f"{self._name}: {late}") if late else None
