"""The base of every sink: an Rx observer of chunks, and a context manager."""

import os
import threading
import time
from abc import abstractmethod
from typing import ClassVar, Self

from reactivex import abc

from rxstream.acquisition.failures import note_failure
from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, RxStreamError, SinkError
from rxstream.flag import Flag
from rxstream.printable import error_repr, error_text, get_logger, shown
from rxstream.validation import checked_name

__all__ = ["Sink"]

_logger = get_logger(__name__)

# How long a write may take before `close` leaves it to itself [s]: as long as `Device.close` waits
# for its subscribers, and memory cards do stall for some seconds.
_PATIENCE = 5.0


class Sink(abc.ObserverBase[Chunk]):
    """End of one stream: ``device.subscribe(sink)``.

    A sink takes one stream, once. It is closed, and its file complete, when the stream completes
    or fails, when it fails itself, on `close`, and at the end of ``with``, whichever is first. A
    chunk that comes later is an error: the device cuts the sink off and reports it. In ``with``,
    therefore, put the sink before the device: the device is closed first, and its last chunks are
    written.

    Disposing of its subscription closes it too. It takes no second subscription. It belongs to the
    process that subscribed it: in a child that is forked then it is closed, and the child touches
    nothing of it.

    Authors write `write` and `finish`, and `start` if there is something to open. These are
    never called at the same time, `finish` exactly once. One that writes files derives from
    `rxstream.sinks.file_sink.FileSink` instead.

    Parameters
    ----------
    name
        Name of the sink in messages, e.g. the path of its file.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream import Device
    >>> from rxstream.devices.simulated import Simulated
    >>> class Peak(Sink):
    ...     value = 0.0
    ...     def write(self, chunk):
    ...         self.value = max(self.value, float(np.abs(chunk.data).max(initial=0)))
    ...     def finish(self):
    ...         print(f"{self.samples} samples, peak {self.value:.3f}")
    >>> device = Device(Simulated(rate=1000.0, duration=0.1))
    >>> peak = Peak("peak")
    >>> subscription = device.subscribe(peak)
    >>> with device:
    ...     peak.wait(10)
    100 samples, peak 0.499
    True
    """

    uniform: ClassVar[bool] = True
    """Whether all chunks must have the same sample shape and dtype."""

    def __init__(self, name: str) -> None:
        self._name = checked_name(name, f"{type(self).__name__}: name")
        self._guard = threading.RLock()
        self._done = Flag()
        # the process that writes, from the subscription or the first chunk on
        self._owner: int | None = None
        # somebody has waited in vain to close it: the write under way does it
        self._to_close = False
        # when the write under way began, on the monotonic clock [s]
        self._writing_since: float | None = None
        self._subscribed = False
        self._info: StreamInfo | None = None
        self._samples = self._lost = 0
        self._error: BaseException | None = None
        # an error that came while nobody called, for who calls next
        self._unraised: Exception | None = None

    # -- for the author of a sink -------------------------------------------------------------

    def start(self, chunk: Chunk) -> None:
        """Open what depends on the stream; may be left out.

        Called once, with the first chunk, before `write` gets it too. That chunk may have no
        samples, but its ``info`` is complete.
        """

    @abstractmethod
    def write(self, chunk: Chunk) -> None:
        """Write the next chunk, ``(n, *shape)``; ``n`` may be 0.

        An exception closes the sink and cuts it off from the stream; other subscribers go on.
        """

    @abstractmethod
    def finish(self) -> None:
        """Close everything; called once, even if no chunk has come or `write` has raised."""

    # -- for its user -------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name in messages."""
        return self._name

    @property
    def info(self) -> StreamInfo | None:
        """Description of the stream, from its first chunk on."""
        return self._info

    @property
    def samples(self) -> int:
        """Samples written."""
        return self._samples

    @property
    def lost(self) -> int:
        """Samples that are missing by the gaps of the stream."""
        return self._lost

    @property
    def closed(self) -> bool:
        """Whether it is closed and takes no more chunks."""
        return self._done.is_set() or self._is_inherited

    @property
    def error(self) -> BaseException | None:
        """The error that ended it: the stream's, or its own."""
        return self._error

    def wait(self, timeout: Duration | None = None) -> bool:
        """Wait until it is closed and everything is written.

        Parameters
        ----------
        timeout
            Longest wait [s]; None: without limit.

        Returns
        -------
        closed
            False if it is still open after that time.
        """
        return self._is_inherited or self._done.wait(
            None if timeout is None else to_span(timeout, "timeout", zero=True) / 1e9
        )

    def close(self) -> None:
        """Write what has come and close; safe to call twice.

        Raises
        ------
        SinkError
            If another thread has been writing one chunk for 5 s; when that returns, the sink is
            closed.
        Exception
            Any error of `finish`, and of writing since the last chunk, e.g. `SinkError` if the disk
            is full.
        """
        # no lock, which a thread of the parent may have held when this process was forked
        if self._is_inherited:
            return
        since, now = self._writing_since, time.monotonic()
        if not self._guard.acquire(timeout=max(0.0, (since or now) + _PATIENCE - now)):
            self._to_close = True
            # the write may have returned just before that line
            if not self._guard.acquire(blocking=False):
                msg = (
                    f"{self._name}: has been writing one chunk for {_PATIENCE:g} s and is left to "
                    "it; it closes when that returns. Does its disk, or its function, hang?"
                )
                late = SinkError(msg)
                note_failure(self._name, late)
                raise late
        try:
            self._end()
        finally:
            self._guard.release()

    def __enter__(self) -> Self:
        if self.closed:
            raise self._too_late()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<{type(self).__name__} {self._name}: {state}, {self.samples} samples>"

    # -- an Rx observer -----------------------------------------------------------------------

    def on_subscribe(self) -> None:
        """Take the only subscription; a stream calls this before it subscribes the sink.

        Raises
        ------
        RxStreamError
            If the sink has a subscription already, or is closed.
        """
        if self._is_inherited:
            raise self._too_late()
        with self._guard:
            if self.closed:
                raise self._too_late()
            if self._subscribed:
                msg = (
                    f"{self._name} is subscribed already, and would write everything twice: make "
                    "a second sink, or merge the streams before one: ops.merge_by_time(...)"
                )
                raise RxStreamError(msg)
            self._subscribed, self._owner = True, os.getpid()

    def on_dispose(self) -> None:
        """Close; a stream calls this when the subscription is disposed of."""
        try:
            self.close()
        except Exception:
            _logger.exception("%s: closing it with its subscription failed", self._name)

    def on_next(self, value: Chunk) -> None:
        """Write the next chunk.

        Raises
        ------
        RxStreamError
            If the sink is closed.
        ChunkError
            If it is not a chunk, or one of another shape or dtype than those before.
        Exception
            Any error of `start` and `write`, and of writing since the last chunk, e.g. `SinkError`.
        """
        if self._is_inherited:
            raise self._too_late()
        with self._guard:
            self._raise_earlier()
            if self._done.is_set() or self._to_close:
                raise self._too_late()
            self._writing_since = time.monotonic()
            try:
                if self._info is None or value.info is not self._info:
                    self._accept(value)
                self.write(value)
            except BaseException as error:
                self._give_up(error)
                raise
            finally:
                self._writing_since = None
            self._samples += len(value)
            if value.gap_positions:
                self._lost += value.lost
            if self._to_close:
                self._end()

    def on_error(self, error: Exception) -> None:
        """Close; keep the stream's error in `error`."""
        if self._is_inherited:
            return
        with self._guard:
            if self._done.is_set():
                return
            self._error = error
            note_failure(self._name, error)
            _logger.warning("%s: the stream ended with an error: %s", self._name, error_text(error))
            self._end()

    def on_completed(self) -> None:
        """Close."""
        self.close()

    # -- inside, for `FileSink` too -----------------------------------------------------------

    @property
    def _is_inherited(self) -> bool:
        """Whether another process, which this one was forked from, writes with it."""
        return self._owner is not None and self._owner != os.getpid()

    def _end(self) -> None:
        """Finish, once; the guard is held."""
        self._raise_earlier()
        if self._done.is_set():
            return
        try:
            self.finish()
        except BaseException as error:
            if self._error is None:
                self._error = error
                note_failure(self._name, error)
            raise
        finally:
            self._done.set()

    def _raise_earlier(self) -> None:
        """Raise, once, an error that came while nobody called."""
        error, self._unraised = self._unraised, None
        if error is not None:
            raise error

    def _accept(self, chunk: Chunk) -> None:
        """Start with the first chunk; check one whose info is another object than before."""
        if not isinstance(chunk, Chunk):
            msg = f"{self._name}: a sink takes chunks, not {shown(chunk, 80)}; subscribe a function"
            raise ChunkError(msg)
        info, known = chunk.info, self._info
        if known is None:
            self._owner = os.getpid()
            self._info = info
            self.start(chunk)
            return
        if self.uniform and (info.shape != known.shape or info.dtype != known.dtype):
            msg = (
                f"{self._name}: got {info.name} with samples {info.shape} {info.dtype} after "
                f"{known.name} with {known.shape} {known.dtype}; a sink takes one kind of them: "
                "bring them to it before, with ops.map_data, or make a new sink for the others"
            )
            raise ChunkError(msg)
        self._info = info

    def _give_up(self, error: BaseException) -> None:
        """Close after an error."""
        # `write` has closed the sink itself
        if self._done.is_set():
            return
        self._error = error
        note_failure(self._name, error)
        try:
            self._end()
        except Exception as second:  # noqa: BLE001 - the first error is the one to raise
            text = error_repr(second)
            _logger.warning("%s: closing after an error failed too: %s", self._name, text)

    def _too_late(self) -> RxStreamError:
        if self._is_inherited:
            return RxStreamError(
                f"{self._name} belongs to process {self._owner}, which this one was forked from, "
                "and takes nothing here: make a sink of its own for each process"
            )
        why = f" (it ended with {error_repr(self._error)})" if self._error else ""
        return RxStreamError(
            f"{self._name} is closed{why} and takes nothing more: make a new sink to subscribe "
            "again; to stop a live stream, dispose of its subscription before closing the sink"
        )
