"""`check_source`: the rules that every source keeps, each by its name and with its remedy."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.device import Device
from rxstream.acquisition.driver import wrap_given
from rxstream.acquisition.source import Source, is_live
from rxstream.acquisition.source import check_source as check_is_source
from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import (
    ChunkError,
    DeviceBusyError,
    DeviceError,
    DeviceNotFoundError,
    ParameterError,
)
from rxstream.printable import error_line, shown
from rxstream.testing.source_evidence import check_evidence, check_layout
from rxstream.testing.source_options import broken, check_info, check_options
from rxstream.testing.watch import Call, Watch, held, wait_for
from rxstream.window import worker

__all__ = ["check_source"]

# Longest waits [s], as `wait_for` counts them: to open, for samples, to close, for a heartbeat,
# until a loss is reported, for what an opening leaves to be gone.
_OPEN, _DATA, _CLOSE, _BEAT, _LOSS, _GONE = 6.0, 10.0, 1.0, 1.0, 5.0, 2.0

# How long nothing changes until what openings leave is taken for settled, and `late` calls have had
# their time [s].
_QUIET = 0.2

# Further openings, to see whether each leaves something.
_AGAIN = 3

# Samples waited for. Of a stream with a rate half a second of them, to see the rate.
_SAMPLES, _SPAN = 3, 0.5

# A shorter text names nothing.
_SHORT = 10

# How often `feed` is called while nothing comes [s].
_FEED = 0.05


def check_source(
    make: Callable[[], Source],
    *,
    feed: Callable[[], object] | None = None,
    unplug: Callable[[], object] | None = None,
    plug: Callable[[], object] | None = None,
    absent: Callable[[], Source] | None = None,
    busy: Callable[[], Source] | None = None,
) -> None:
    """Check that a source keeps the rules, by running it against what it is made for.

    Each rule has a name, which begins the message of the error:

    ``info``
        A `StreamInfo`, the same each time, without touching the hardware; samples are no objects.
    ``options``
        A frozen dataclass with a docstring, hashable and picklable, whose `repr` evaluates back.
    ``opening``
        It opens within 6 s, and again, also the same object. Absent hardware is a
        `DeviceNotFoundError`, hardware that is held a `DeviceBusyError`, both from ``open``.
    ``data``
        Samples come.
    ``layout``
        They are as the `StreamInfo` says.
    ``one thread``
        They come from one thread, one reading at a time.
    ``closing``
        It takes a second at most, also in an idle stream, before the first sample, from ``emit``,
        and a second time; afterwards nothing comes, and no thread, file or process is left.
    ``evidence``
        Stamps are int nanoseconds that do not go back, on the host clock those of now; bounds
        lie before arrival; a counter is described, fits, and counts samples if it says so; the
        rate is right by half.
    ``heartbeat``
        A stream without a rate says within a second that nothing comes.
    ``device``
        It works in a `Device`, of whose subscribers one raises.
    ``unplugging``
        A loss is reported within 5 s, once, by a `DeviceError`; plugged in again, it goes on after
        a gap.

    A wait counts what the machine grants, so a busy one raises no false alarm.

    How much of that can be seen depends on what it is given: with ``make`` alone all but the last
    rule and what absent and held hardware raises; ``feed`` for a device that says nothing by
    itself; ``unplug`` and ``plug``; ``absent`` and ``busy``.

    Parameters
    ----------
    make
        Makes the source; it may be the same one each time.
    feed
        Makes the device say something, for a device that says nothing by itself.
    unplug, plug
        Take the device away, and bring it back.
    absent
        Makes a source whose hardware is not there.
    busy
        Makes a source of the hardware that one from ``make`` holds.

    Raises
    ------
    AssertionError
        With the first rule that is broken, how, and a remedy.
    ParameterError
        If ``plug`` is given without ``unplug``, or what ``make`` returns is no source.

    Examples
    --------
    >>> from rxstream.devices import Simulated
    >>> simulated = Simulated(rate=1000.0)
    >>> check_source(lambda: simulated, unplug=simulated.unplug, plug=simulated.replug)
    """
    if plug is not None and unplug is None:
        msg = "check_source: plug= brings back what unplug= takes away; give both"
        raise ParameterError(msg)
    check = _Check(make, feed)
    source = make()
    check_is_source(source)
    check_info(source)
    check_options(source)
    try:
        if absent is not None:
            check.absent(absent)
        if busy is not None:
            check.busy(busy)
        check.run(source)
        check.heartbeat(source)
        check.ways_of_closing()
        check.again()
        check.in_a_device()
        if unplug is not None:
            check.unplug(unplug, plug)
        check.silence()
    finally:
        check.close_all()


class _Check:
    """A source under test, and every opening of it so far."""

    def __init__(self, make: Callable[[], Source], feed: Callable[[], object] | None) -> None:
        self._make, self._feed = make, feed
        self._watches: list[Watch] = []

    # -- parts ----------------------------------------------------------------------------------

    def _open(self, source: Source | None = None, watch: Watch | None = None) -> Watch:
        """Open a source within its time."""
        opened = self._make() if source is None else source
        watch = watch or Watch()
        call = Call(lambda: watch.open(opened))
        if not call.within(_OPEN):
            raise broken(
                "opening", f"open has not returned within {_OPEN:g} s",
                "give the driver a timeout, and raise DeviceNotFoundError",
            )  # fmt: skip
        if call.error is not None:
            remedy = "correct the source"
            if isinstance(call.error, DeviceError) and not _is_mistake(call.error):
                remedy = "the hardware of what `make` returns must be there, and closed before"
            what = f"open raised {error_line(call.error)}"
            raise broken("opening", what, remedy) from call.error
        self._watches.append(watch)
        return watch

    def _close(self, watch: Watch, when: str) -> None:
        """Close it within its time, and a second time."""
        for time in ("", "a second time, "):
            call = Call(watch.close)
            if not call.within(_CLOSE):
                raise broken(
                    "closing", f"{time}{when}, it takes more than {_CLOSE:g} s",
                    "wake what blocks, by a timeout of 0.1 s in the driver",
                )  # fmt: skip
            if call.error is not None:
                raise broken(
                    "closing", f"{time}{when}, close raised {error_line(call.error)}",
                    "let it do nothing where it is closed already",
                ) from call.error  # fmt: skip
            watch.shut()

    def close_all(self) -> None:
        """Close what a broken rule has left open."""
        for watch in self._watches:
            if watch.is_left_open:
                Call(watch.close).within(_CLOSE)

    def _fed(self, came: Callable[[], object], seconds: float, changed: threading.Event) -> bool:
        """Whether something comes within ``seconds`` [s]; feed the device meanwhile."""
        if self._feed is None:
            return wait_for(came, seconds, changed)
        for _ in range(round(seconds / _FEED)):
            if came():
                return True
            self._feed()
            if wait_for(came, _FEED, changed):
                return True
        return False

    def _samples(self, watch: Watch, count: int) -> None:
        """Wait for samples."""
        came = self._fed(lambda: watch.samples >= count or watch.losses, _DATA, watch.changed)
        lost = [failure for failure in watch.losses if not _is_end(failure)]
        if lost:
            what = f"after {watch.samples} samples it failed by {_line(lost[0])}"
            remedy = "fail only when the device is gone"
            if _is_mistake(lost[0]):
                remedy = "correct the source"
            raise broken("data", what, remedy)
        if not came or not watch.samples:
            what = f"{watch.samples} samples came within {_DATA:g} s"
            remedy = "emit, or yield, what comes; or give feed= what makes the device say something"
            raise broken("data", what, remedy)

    def silence(self) -> None:
        """See that nothing has come after an opening was closed."""
        late = [what for watch in self._watches for what in watch.late]
        if late:
            raise broken(
                "closing", f"{late[0]} was called after close had returned",
                "join the thread that calls it, or drop what its driver still gives",
            )  # fmt: skip

    # -- rules ----------------------------------------------------------------------------------

    def run(self, source: Source) -> None:
        """Let it run for a while."""
        watch = self._open(source)
        info = watch.info or source.info
        live = is_live(source)
        paced = live and self._feed is None and info.rate is not None
        self._samples(watch, _SAMPLES)
        if paced:
            wait_for(lambda: watch.losses or _span(watch) >= _SPAN, _DATA, watch.changed)
        elif live and self._feed is None and _is_stamped(watch, info):
            wait_for(lambda: watch.losses or _span(watch) >= _SPAN, 2 * _SPAN, watch.changed)
        self._close(watch, "with samples coming")
        check_layout(watch, info)
        check_evidence(watch, info, live=live, fed=self._feed is not None, paced=paced)

    def heartbeat(self, source: Source) -> None:
        """Let the same one be idle; no samples need come."""
        watch = self._open(source)
        info = watch.info or source.info
        if info.rate is None and is_live(source):
            # twice: one may be sent on opening alone
            for _ in range(2):
                count = watch.samples + watch.beats
                came = wait_for(
                    lambda count=count: watch.samples + watch.beats > count or watch.losses,  # type: ignore[misc]
                    _BEAT, watch.changed,
                )  # fmt: skip
                if not came:
                    raise broken(
                        "heartbeat", f"nothing came for {_BEAT:g} s from an idle stream",
                        "emit a reading without samples each 0.1 s, in a generator by a bare "
                        "yield; what is asked less often is checked with a shorter every=",
                    )  # fmt: skip
        self._close(watch, "idle")

    def ways_of_closing(self) -> None:
        """Close it before the first sample, and from `emit`."""
        if self._feed is None:
            # one that is fed was idle before
            self._close(self._open(), "before the first sample")
        watch = Watch()
        calls: list[None] = []
        done, errors = threading.Event(), list[Exception]()

        def close() -> None:
            if watch.is_open and not calls:
                calls.append(None)
                try:
                    watch.close()
                except Exception as error:  # noqa: BLE001 - it is reported below
                    errors.append(error)
                done.set()

        watch.on_samples = close
        self._open(watch=watch)
        self._fed(lambda: calls or watch.losses, _DATA, watch.changed)
        if calls and (not wait_for(done.is_set, _CLOSE) or errors):
            what = error_line(errors[0]) if errors else f"it takes more than {_CLOSE:g} s"
            remedy = "let it not wait for its own thread: thread is not threading.current_thread()"
            raise broken("closing", f"from emit, {what}", remedy)
        self._close(watch, "closed from emit")

    def again(self) -> None:
        """Open it again, and look at what is left."""
        # what the first openings have loaded may stay
        before = self._settled()
        for _ in range(_AGAIN):
            watch = self._open()
            self._samples(watch, 1)
            self._close(watch, "opened again")
        gc.collect()
        if not wait_for(lambda: self._left(before) is None, _GONE):
            raise broken(
                "closing", f"{self._left(before)} left by {_AGAIN} openings",
                "close all that open has opened: by `with`, or in release= of poll",
            )  # fmt: skip
        self.silence()

    def _settled(self) -> tuple[int, int, int]:
        """Return threads, files and processes once they become no fewer."""
        lowest = held()

        def fewer() -> bool:
            nonlocal lowest
            now, before = held(), lowest
            lowest = min(now[0], before[0]), min(now[1], before[1]), min(now[2], before[2])
            return lowest != before

        while wait_for(fewer, _QUIET):
            pass
        return lowest

    def _left(self, before: tuple[int, int, int]) -> str | None:
        threads, files, processes = (
            now - then for now, then in zip(held(), before, strict=True)
        )  # fmt: skip
        # what comes and goes elsewhere in the program is less than one for each opening
        if files >= _AGAIN:
            return f"{files} files or sockets are"
        if processes >= _AGAIN:
            return f"{processes} processes are"
        return f"{threads} threads are" if threads >= _AGAIN else None

    def in_a_device(self) -> None:
        """Let one of two subscribers raise."""
        chunks: list[Chunk[Any]] = []
        raised, changed = threading.Event(), threading.Event()

        def take(chunk: Chunk[Any]) -> None:
            chunks.append(chunk)
            changed.set()

        def stumble(chunk: Chunk[Any]) -> None:
            raised.set()
            raise _OnPurposeError

        device = Device(self._make(), history=10)
        device.subscribe(stumble, lambda error: None)
        device.subscribe(take, lambda error: None)
        with _not_logged(), device:
            came = self._fed(lambda: raised.is_set() and len(chunks) > 1, _DATA, changed)
            ended, error = device.state == "ended", device.error
        if not came and not (ended and chunks):
            why = f": {error_line(error)}" if error is not None else ""
            raise broken("device", f"{len(chunks)} chunks came{why}", "see what it logs")

    def absent(self, absent: Callable[[], Source]) -> None:
        """Open what is not there."""
        self._refused(absent(), DeviceNotFoundError, "absent hardware")

    def busy(self, busy: Callable[[], Source]) -> None:
        """Open what is held."""
        watch = self._open()
        try:
            self._refused(busy(), DeviceBusyError, "hardware that is held")
        finally:
            self._close(watch, "held twice")

    def _refused(self, source: Source, kind: type[DeviceError], what: str) -> None:
        watch = Watch()
        call = Call(lambda: watch.open(source))
        remedy = f"raise {kind.__name__} from open, naming what it is"
        if not call.within(_OPEN):
            raise broken("opening", f"{what}: open has not returned within {_OPEN:g} s", remedy)
        if call.error is None:
            self._close(watch, "not refused")
            raise broken("opening", f"{what}: open raised nothing", remedy)
        if not isinstance(call.error, kind):
            raised = error_line(call.error)
            raise broken("opening", f"{what}: open raised {raised}", remedy) from call.error
        if len(str(call.error)) < _SHORT:
            raise broken("opening", f"{what}: it says {shown(str(call.error))}", remedy)

    def unplug(self, unplug: Callable[[], object], plug: Callable[[], object] | None) -> None:
        """Take it away, and bring it back."""
        watch = self._open()
        self._samples(watch, 1)
        unplug()
        if not wait_for(lambda: watch.losses, _LOSS, watch.changed):
            raise broken(
                "unplugging", f"nothing was reported within {_LOSS:g} s",
                "call fail, or raise in read, as soon as the driver shows that the device is gone",
            )  # fmt: skip
        error = wrap_given("it", watch.losses[0])
        if not isinstance(error, DeviceError):
            raise broken(
                "unplugging", f"it was reported by {_line(watch.losses[0])}",
                "fail with a DeviceLostError: a device that is gone has not ended",
            )  # fmt: skip
        self._close(watch, "unplugged")
        if len(watch.losses) > 1:
            what = f"it was reported {len(watch.losses)} times"
            raise broken("unplugging", what, "call fail once, and end")
        if plug is not None:
            plug()
            self._back(unplug, plug)

    def _back(self, unplug: Callable[[], object], plug: Callable[[], object]) -> None:
        """Unplug it from a `Device`, which opens it again."""
        chunks: list[Chunk[Any]] = []
        changed = threading.Event()

        def take(chunk: Chunk[Any]) -> None:
            chunks.append(chunk)
            changed.set()

        backoff = Backoff(first=0.02, most=0.2)
        device = Device(self._make(), history=10, reconnect=backoff)
        device.subscribe(take, lambda error: None)
        with device:
            self._fed(lambda: chunks, _DATA, changed)
            unplug()
            wait_for(lambda: device.state != "open" or _disconnected(chunks), _LOSS)
            plug()
            back = self._fed(lambda: _disconnected(chunks), _DATA, changed)
            state, error = device.state, device.error
        if not back:
            what = f"plugged in again, it does not go on; it is {state}"
            why = f": {error_line(error)}" if error is not None else ""
            raise broken("unplugging", what + why, "let open work again after a loss")


class _OnPurposeError(Exception):
    """What a subscriber raises to see that no other one suffers."""


@contextmanager
def _not_logged() -> Iterator[None]:
    """Keep that out of the log."""

    def is_real(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], _OnPurposeError))

    logger = logging.getLogger(worker.__name__)
    logger.addFilter(is_real)
    try:
        yield
    finally:
        logger.removeFilter(is_real)


def _disconnected(chunks: list[Chunk[Any]]) -> bool:
    """Whether samples go on after a gap."""
    return any(
        len(chunk) and any(at.gap.reason == "disconnect" for at in chunk.gap_positions)
        for chunk in chunks
    )


def _is_mistake(error: object) -> bool:
    """Whether an error is the author's, whatever the device does."""
    cause = getattr(error, "__cause__", None)
    return isinstance(error, ChunkError | ParameterError) or isinstance(cause, NameError)


def _is_end(failure: object) -> bool:
    return type(failure).__name__ == "EndOfStream"


def _line(failure: object) -> str:
    return error_line(failure) if isinstance(failure, BaseException) else shown(failure)


def _is_stamped(watch: Watch, info: StreamInfo) -> bool:
    """Whether readings have a counter, or stamps of which time shows the unit."""
    own = info.device_clock == "own"
    return any(
        seen.reading.counter is not None or (own and seen.reading.device_time is not None)
        for seen in watch.seen
    )


def _span(watch: Watch) -> float:
    """Return how long samples have come for [s]."""
    arrivals = [seen.arrival for seen in (watch.seen[:1] + watch.seen[-1:])]
    return (arrivals[-1] - arrivals[0]) / 1e9 if arrivals else 0.0
