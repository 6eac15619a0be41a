"""scpi: values of a measuring instrument (extra ``scpi``)."""

import math
import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.generators import open_generator
from rxstream.authoring.options import check_options
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.optional import import_optional
from rxstream.printable import error_line, get_logger, shown

__all__ = ["Scpi"]

_logger = get_logger(__name__)

Answers: TypeAlias = Literal[
    "text", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"
]

# Numbers of SCPI (IEEE 488.2, SCPI-99 volume 1) that stand for what is none.
_NAN, _INFINITY = 9.91e37, 9.9e37

# Words of the error of a driver that lacks a package of its own.
_MISSING = re.compile(r"Please install|No module named")

# VI_ERROR_TMO of VISA
_TIMEOUT = -1073807339

# Longest text of a dropped answer that is shown [characters].
_SHOWN = 40

_guard = threading.Lock()
_users: dict[str, int] = {}


def _queries(options: Any) -> tuple[str, ...]:
    """Return the queries; raise ParameterError if they cannot be."""
    query = options.query
    given = (query,) if isinstance(query, str) else query
    if not isinstance(given, tuple) or not given or not all(map(_is_command, given)):
        msg = (
            "Scpi: query must be a question, e.g. 'MEAS:VOLT?', or a tuple of some, not "
            f"{shown(query)}"
        )
        raise ParameterError(msg)
    return given


def _is_command(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip()) and text.isascii() and text.isprintable()


def _channels(options: Any) -> tuple[str, ...]:
    """Return the labels; check the other options."""
    queries = _queries(options)
    if not _is_command(options.resource):
        msg = (
            "Scpi: resource must be an address of VISA, e.g. 'TCPIP::192.168.0.5::5025::SOCKET', "
            f"not {shown(options.resource)}"
        )
        raise ParameterError(msg)
    if not isinstance(options.setup, tuple) or not all(map(_is_command, options.setup)):
        msg = f"Scpi: setup must be a tuple of commands, not {shown(options.setup)}"
        raise ParameterError(msg)
    if options.answers != "text" and len(queries) > 1:
        msg = f"Scpi: answers={options.answers!r} are those of one query, not of {len(queries)}"
        raise ParameterError(msg)
    if options.baud is not None and options.baud <= 0:
        msg = f"Scpi: baud must be > 0, or None, not {options.baud}"
        raise ParameterError(msg)
    if not options.terminator:
        msg = "Scpi: terminator must be what ends a line, e.g. '\\n', not ''"
        raise ParameterError(msg)
    to_span(options.timeout, "Scpi: timeout")
    if not isinstance(options.channels, tuple):
        msg = f"Scpi: channels must be a tuple of names, not {shown(options.channels)}"
        raise ParameterError(msg)
    return options.channels


@dataclass(frozen=True, slots=True)
class Scpi:
    r"""Values of a measuring instrument that answers SCPI: asked every so often, without a rate.

    A sample is float64: one value, or ``(n,)`` of them, as the first answer has; so a trace of an
    oscilloscope is one sample. Of several queries it has all their values. Its time is between
    question and answer, of several between the first question and the last answer: its
    ``uncertainty`` is half that.

    An answer that is no number, or of another length, is a lost sample, which the gap before the
    next one counts; the first is logged. SCPI's 9.91E37 is NaN, its ±9.9E37 an infinity. An
    instrument that does not answer in time is lost: what it would say later is no answer to the
    next question. One that has come before the question, by a socket or a serial line, is none to
    it either: it is dropped, and the first is an `OverrunError` on `Device.faults`. Elsewhere the
    instrument drops it itself, by IEEE 488.2.

    Attributes
    ----------
    resource
        Address of VISA: ``"TCPIP::192.168.0.5::5025::SOCKET"``, ``"TCPIP::192.168.0.5::INSTR"``,
        ``"ASRL/dev/ttyUSB0::INSTR"``, ``"USB0::0x1AB1::0x04CE::DS1ZA1::INSTR"``.
    query
        Question, ``"MEAS:VOLT?"``, or a tuple of some, asked one after the other.
    every
        Time from one question to the next [s].
    setup
        Commands at the opening, ``("CONF:VOLT:DC 10", "VOLT:NPLC 1")``.
    unit, channels
        Of the values, and their names.
    answers
        ``"text"``: numbers with commas between them. Else binary blocks of this type.
    byte_order
        Of binary blocks; SCPI's usual one is ``"big"``.
    terminator
        What ends a line.
    baud
        Of a serial line [Bd]; None: the driver's, 9600.
    timeout
        Longest wait for an answer [s]. Closing waits 2 s for one.
    backend
        ``"@py"``: pyvisa-py; ``"@ivi"``: the VISA of a manufacturer; ``"lab.yaml@sim"``:
        simulated instruments.

    Examples
    --------
    >>> meter = Scpi("TCPIP::192.168.0.5::5025::SOCKET", "MEAS:VOLT?", every=0.1, unit="V")
    >>> meter.info.shape, meter.info.unit
    ((), 'V')
    >>> Scpi("GPIB::7", ("MEAS:VOLT?", "MEAS:CURR?"), channels=("volt", "ampere")).info.shape
    (2,)
    """

    resource: str
    query: str | tuple[str, ...]
    every: Duration = 1.0
    _: KW_ONLY
    setup: tuple[str, ...] = ()
    unit: str = ""
    channels: tuple[str, ...] = ()
    answers: Answers = "text"
    byte_order: Literal["big", "little"] = "big"
    terminator: str = "\n"
    baud: int | None = None
    timeout: Duration = 1.0
    backend: str = "@py"

    def __post_init__(self) -> None:
        check_options(self, type(self).__init__)
        to_span(self.every, "Scpi: every")
        _ = self.info

    @property
    def info(self) -> StreamInfo:
        """Description of the stream, as far as it is known before the first answer."""
        channels = _channels(self)
        known = len(channels) or len(_queries(self))
        return StreamInfo(
            "scpi", None, (known,) if known > 1 else (), np.dtype(float), self.unit, channels,
            extra={"resource": self.resource, "query": self.query},
        )  # fmt: skip

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Connect to the instrument, set it up, and ask it once.

        Raises
        ------
        DeviceNotFoundError
            If it is not there, or does not answer numbers.
        DeviceBusyError
            If somebody else uses it.
        ParameterError
            If it does not answer as many values as there are channels.
        MissingExtraError
            If pyvisa, or the driver of the backend, is not installed.
        """
        return open_generator(
            lambda _: self._ask(fail), self.info, emit, fail,
            every=self.every, requires="rxstream[scpi]",
        )  # fmt: skip

    def _ask(self, fail: Fail) -> Generator[Any, None, None]:
        channels, info = self.channels, self.info
        with _instrument(self) as line:
            for command in self.setup:
                line.write(command)
            ask = _Questions(line, self, fail)
            try:
                first, _ = ask()
            except ValueError as error:
                msg = f"scpi: {self.resource} answers no numbers: {error}; see query= and answers="
                raise DeviceNotFoundError(msg) from error
            if channels and len(channels) != len(first):
                msg = f"Scpi: {len(channels)} channels are named, and {len(first)} values came"
                raise ParameterError(msg)
            shape = first.shape if len(first) > 1 else ()
            yield StreamInfo(
                info.name, None, shape, info.dtype, self.unit, channels, extra=info.extra
            )
            yield from _samples(ask, shape, self.resource)


def _samples(ask: "_Questions", shape: tuple[int, ...], name: str) -> Generator[Any, None, None]:
    """Yield a reading for each turn; None where the answer was no sample."""
    lost = 0
    while True:
        try:
            values, bounds = ask()
            if len(values) != math.prod(shape):
                msg = f"{len(values)} values came, not {math.prod(shape)} as before"
                raise ValueError(msg)
        except ValueError as error:
            if not lost:
                _logger.warning(
                    "scpi: an answer of %s is no sample: %s; it is counted in the gap before the "
                    "next one", name, error,
                )  # fmt: skip
            lost += 1
            yield None
            continue
        yield Reading(values.reshape(1, *shape), lost=lost or None, bounds=bounds)
        lost = 0


class _Questions:
    """Asks all queries, and drops what has come before it asks.

    Such an answer would be taken for that to the next question, and each later one for that to the
    question after its own.
    """

    def __init__(self, line: Any, options: Scpi, fail: Fail) -> None:
        self._line, self._options, self._fail = line, options, fail
        self._queries = _queries(options)
        resource = options.resource.upper()
        # elsewhere a message has an end, and a new question makes the instrument drop old answers
        self._bytes = resource.startswith("ASRL") or resource.endswith("::SOCKET")
        self._reported = False

    def __call__(self) -> tuple[NDArray[Any], tuple[int, int]]:
        """Return all values ``(n,)``, and the host times around the questions [ns].

        Raises
        ------
        ValueError
            If an answer is no number.
        """
        values, asked = list[NDArray[Any]](), 0
        for query in self._queries:
            if self._bytes:
                self._drop_stale()
            asked = asked or now_ns()
            values.append(self._answer(query))
        return np.concatenate(values), (asked, now_ns())

    def _answer(self, query: str) -> NDArray[Any]:
        options = self._options
        if options.answers == "text":
            return _numbers(self._line.query(query))
        values = self._line.query_binary_values(
            query, datatype=np.dtype(options.answers).char,
            is_big_endian=options.byte_order == "big", container=np.array,
        )  # fmt: skip
        return np.asarray(values, float)

    def _drop_stale(self) -> None:
        """Drop what has come unasked; report it once."""
        resource, stale = self._options.resource, b""
        limit = time.monotonic() + self._line.timeout / 1e3
        while waiting := _waiting(self._line, self._options.terminator.encode()):
            stale = stale or waiting
            if time.monotonic() > limit:
                msg = f"scpi: {resource} sends without end and unasked; stop that by setup="
                raise DeviceLostError(msg)
        if stale and not self._reported:
            self._reported = True
            text = shown(stale.decode("ascii", "replace").strip()[:_SHOWN])
            msg = (
                f"scpi: {resource} had sent {text} before it was asked, which is dropped, now and "
                "later; samples before this may be answers to earlier questions: see that query= "
                "has one answer, and setup= none"
            )
            self._fail(OverrunError(msg, reason="dropped"))


def _waiting(line: Any, end: bytes) -> bytes:
    """Return what has come, up to the end of a line; empty if nothing has."""
    timeout, line.timeout = line.timeout, 0
    try:
        # else VISA keeps for itself what has no end yet
        with _without_end(line):
            come = _read(line)
    finally:
        line.timeout = timeout
    # the rest of it is on its way, and would be the beginning of the next answer
    return come + _read(line) if come and not come.endswith(end) else come


@contextmanager
def _without_end(line: Any) -> Iterator[None]:
    """Let a read end where nothing more has come; of what cannot do that as it is."""
    pyvisa = import_optional("pyvisa", extra="scpi")
    attribute = pyvisa.constants.ResourceAttribute.suppress_end_enabled
    try:
        before = line.get_visa_attribute(attribute)
        line.set_visa_attribute(attribute, False)
    except (pyvisa.errors.VisaIOError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        line.set_visa_attribute(attribute, before)


def _read(line: Any) -> bytes:
    """Return what comes in time; empty if nothing does."""
    visa_error = import_optional("pyvisa", extra="scpi").errors.VisaIOError
    try:
        return bytes(line.read_raw())
    except visa_error as error:
        if error.error_code != _TIMEOUT:
            raise
        return b""


def _numbers(answer: str) -> NDArray[Any]:
    """Return the numbers of an answer ``(n,)``; ValueError if it has others.

    Examples
    --------
    >>> _numbers("+1.500E+00, 9.91E+37,-9.9E37")
    array([ 1.5,  nan, -inf])
    """
    try:
        values = np.array([float(part) for part in answer.split(",")])
    except ValueError:
        msg = f"{shown(answer.strip())} is no number"
        raise ValueError(msg) from None
    values[values == _NAN] = math.nan
    values[np.abs(values) == _INFINITY] *= math.inf
    return values


@contextmanager
def _instrument(options: Any) -> Iterator[Any]:
    """Open an instrument; the last one that is closed closes the resource manager of its backend.

    pyvisa has one for each backend, and closing it closes all its instruments.
    """
    pyvisa, backend = import_optional("pyvisa", extra="scpi"), options.backend
    with _guard:
        manager = _manager(pyvisa, backend)
        _users[backend] = _users.get(backend, 0) + 1
    line: Any = None
    try:
        line = _open(pyvisa, manager, options)
        line.timeout = _milliseconds(options)
        line.read_termination = line.write_termination = options.terminator
        if options.baud is not None:
            line.baud_rate = options.baud
        yield line
    except (pyvisa.errors.VisaIOError, ConnectionError) as error:
        # as the phase says: not there, or lost
        msg = f"{options.resource} does not answer ({error_line(error)}); is it on? See timeout="
        raise TimeoutError(msg) from error
    finally:
        with _guard:
            try:
                if line is not None:
                    line.close()
            finally:
                _users[backend] -= 1
                if not _users[backend]:
                    manager.close()


def _manager(pyvisa: Any, backend: str) -> Any:
    """Return the resource manager of a backend."""
    try:
        return pyvisa.ResourceManager(backend)
    except Exception as error:
        msg = (
            f"scpi: the backend {shown(backend)} cannot be loaded ({error_line(error)}); "
            "pip install 'rxstream[scpi]' has '@py', and '@ivi' needs the VISA of a manufacturer"
        )
        raise MissingExtraError(msg) from error


def _milliseconds(options: Any) -> int:
    """Return the longest wait [ms]."""
    return max(1, to_span(options.timeout, "Scpi: timeout") // 1_000_000)


def _open(pyvisa: Any, manager: Any, options: Any) -> Any:
    """Open an instrument."""
    resource = options.resource
    try:
        return manager.open_resource(resource, open_timeout=_milliseconds(options))
    except pyvisa.errors.VisaIOError as error:
        raise _refused(pyvisa, resource, error) from error
    except PermissionError:
        raise
    except Exception as error:
        if _MISSING.search(str(error)):
            msg = f"scpi: {resource} needs a driver that is missing: {error_line(error)}"
            raise MissingExtraError(msg) from error
        msg = (
            f"scpi: no connection to {resource} ({error_line(error)}); see that the instrument is "
            "on, and its address"
        )
        raise DeviceNotFoundError(msg) from error


def _refused(pyvisa: Any, resource: str, error: Any) -> DeviceError:
    """Return an error of ours for one of VISA, of an instrument that cannot be opened."""
    status = pyvisa.constants.StatusCode
    code, text = error.error_code, error_line(error)
    if code in (status.error_resource_busy, status.error_resource_locked):
        return DeviceBusyError(f"scpi: {resource} is in use ({text}); close what else uses it")
    remedy = "see that the instrument is on, and its address"
    if code == status.error_invalid_resource_name:
        remedy = "give an address of VISA, e.g. 'TCPIP::192.168.0.5::5025::SOCKET'"
    return DeviceNotFoundError(f"scpi: no {resource} ({text}); {remedy}")
