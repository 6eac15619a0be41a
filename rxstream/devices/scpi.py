"""scpi: values of a measuring instrument (extra ``scpi``)."""

import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.authoring import (
    DeviceBusyError,
    DeviceError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
    Reading,
    StreamInfo,
    source,
)
from rxstream.data.clock import Duration, to_span
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


def _shape(options: Any) -> tuple[int, ...]:
    """Return the shape of a sample as far as it is known before the first answer."""
    known = len(_channels(options)) or len(_queries(options))
    return (known,) if known > 1 else ()


@source(
    every=lambda options: options.every, dtype=float, shape=_shape, channels=_channels,
    unit=lambda options: options.unit, requires="rxstream[scpi]",
    extra=lambda options: {"resource": options.resource, "query": options.query},
)  # fmt: skip
def Scpi(  # noqa: N802 - it becomes a class
    resource: str,
    query: str | tuple[str, ...],
    every: Duration = 1.0,
    *,
    setup: tuple[str, ...] = (),
    unit: str = "",
    channels: tuple[str, ...] = (),
    answers: Answers = "text",
    byte_order: Literal["big", "little"] = "big",
    terminator: str = "\n",
    baud: int | None = None,
    timeout: Duration = 1.0,
    backend: str = "@py",
) -> Iterator[Any]:
    r"""Values of a measuring instrument that answers SCPI: asked every so often, without a rate.

    A sample is float64: one value, or ``(n,)`` of them, as the first answer has; so a trace of an
    oscilloscope is one sample. Of several queries it has all their values. Its time is between
    question and answer, of several between the first question and the last answer: its
    ``uncertainty`` is half that.

    An answer that is no number, or of another length, is a lost sample, which the gap before the
    next one counts; the first is logged. SCPI's 9.91E37 is NaN, its ±9.9E37 an infinity. An
    instrument that does not answer in time is lost: what it would say later is no answer to the
    next question.

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
    options = Scpi(
        resource, query, every, setup=setup, unit=unit, channels=channels, answers=answers,
        byte_order=byte_order, terminator=terminator, baud=baud, timeout=timeout, backend=backend,
    )  # fmt: skip
    with _instrument(options) as line:
        for command in setup:
            line.write(command)
        ask = _question(line, options)
        try:
            first = ask()
        except ValueError as error:
            msg = f"scpi: {resource} answers no numbers: {error}; see query= and answers="
            raise DeviceNotFoundError(msg) from error
        info = options.info
        if channels and len(channels) != len(first):
            msg = f"Scpi: {len(channels)} channels are named, and {len(first)} values came"
            raise ParameterError(msg)
        shape = first.shape if len(first) > 1 else ()
        yield StreamInfo(info.name, None, shape, float, unit, channels, extra=info.extra)  # type: ignore[arg-type]
        yield from _samples(ask, shape, resource)


def _samples(ask: Callable[[], NDArray[Any]], shape: tuple[int, ...], name: str) -> Iterator[Any]:
    """Yield a reading for each turn; None where the answer was no sample."""
    lost = 0
    while True:
        try:
            values = ask()
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
        yield Reading(values.reshape(1, *shape), lost=lost or None)
        lost = 0


def _question(line: Any, options: Any) -> Callable[[], NDArray[Any]]:
    """Return a function that asks all queries and returns their values ``(n,)``."""
    queries, answers = _queries(options), options.answers
    if answers == "text":
        return lambda: np.concatenate([_numbers(line.query(query)) for query in queries])
    datatype = np.dtype(answers).char
    big, (query,) = options.byte_order == "big", queries

    def ask() -> NDArray[Any]:
        values = line.query_binary_values(
            query, datatype=datatype, is_big_endian=big, container=np.array
        )
        return np.asarray(values, float)

    return ask


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
