"""`source`: a device made of a function; its parameters are the options."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

from numpy.typing import DTypeLike

from rxstream.acquisition.device_info import DeviceInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.async_generators import open_async
from rxstream.authoring.generators import answers, open_generator
from rxstream.authoring.options import check_options, options_class
from rxstream.authoring.samples import Samples
from rxstream.data.clock import Duration, to_span
from rxstream.data.stream_info import DeviceCounter, StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import check_flag

__all__ = ["AuthoredSource", "EmitValue", "source"]

P = ParamSpec("P")
T = TypeVar("T")

EmitValue: TypeAlias = Callable[[object], None]
"""Takes a value in a callback of a driver: whatever an author may also yield."""

FromOptions: TypeAlias = T | Callable[[Any], T]
"""A value, or a function of the options that returns it."""

_DeviceClock: TypeAlias = Literal["host", "own"]


class SourceClass(Protocol[P]):
    """What `source` makes of a function: a class that is called with the same parameters."""

    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> "AuthoredSource":
        """Return the device with these options, not open."""
        ...


class SourceDecorator(Protocol):
    """What `source` returns."""

    @overload
    def __call__(self, function: Callable[Concatenate[EmitValue, P], Any], /) -> SourceClass[P]: ...
    @overload
    def __call__(self, function: Callable[P, Any], /) -> SourceClass[P]: ...


def source(
    function: None = None,
    /,
    *,
    dtype: FromOptions[DTypeLike] = float,
    shape: FromOptions[tuple[int, ...]] = (),
    rate: FromOptions[float | None] = None,
    unit: FromOptions[str] = "",
    channels: FromOptions[tuple[str, ...]] = (),
    counter: FromOptions[DeviceCounter | None] = None,
    quantum: FromOptions[int | None] = None,
    device_clock: _DeviceClock = "own",
    extra: FromOptions[Mapping[str, Any] | None] = None,
    name: FromOptions[str] = "",
    every: FromOptions[Duration] | None = None,
    live: bool = True,
    requires: str = "",
    discover: Callable[[], Sequence[DeviceInfo]] | None = None,
) -> SourceDecorator:
    r"""Return a decorator that makes a device of a function; its parameters are the options.

    The result is a frozen dataclass with the name and docstring of the function: hashable,
    picklable, and a `Source`. The function has one of four forms.

    A **generator**, for a driver that blocks. Up to its first ``yield`` it opens the device; that
    is a bare one, or ``yield StreamInfo(...)`` with what is known only then. Each further one
    gives a value, or is bare: nothing came within 0.1 s. With ``every`` it is resumed on a
    schedule, for a device that answers when it is asked. As the device is closed, GeneratorExit
    comes out of the ``yield``, and so ``with`` closes the driver.

    A generator whose first parameter is **emit**, for a driver that calls back: its callbacks
    ``emit(value)``, and the generator yields while the driver is connected.

    An **async** generator: its loop, in a thread of its own, is ours. Heartbeats come by
    themselves, and as the device is closed, what it awaits is cancelled.

    A plain function with **every**: it is called on a schedule, the first time as the device is
    opened, and returns a value, or None for nothing.

    A value is a number or a text; of a structured dtype a tuple or a dict, of which other keys are
    left out; one sample of ``shape`` or several as an array ``(n, *shape)``; or a `Reading` of
    these. With the device's own stamp [ns] it is ``(value, time)``, or a dict with ``"time"``.

    What the driver raises up to the first ``yield`` is a `DeviceNotFoundError`; without permission
    or if somebody else holds the device, a `DeviceBusyError`; afterwards a `DeviceLostError`. The
    error itself is its cause. Without the driver it is a `MissingExtraError`. An end of the
    function is the end of the stream.

    Parameters
    ----------
    dtype, shape, rate, unit, channels, counter, quantum, device_clock, extra
        As in `StreamInfo`. Each, but for ``device_clock``, may be a function of the options, e.g.
        ``rate=lambda options: options.rate``. What is asked has no rate.
    name
        Name of the stream; default: that of the function, in small letters.
    every
        Time from one value to the next, of a device that answers when it is asked [s].
    live
        False for what can wait, as a file.
    requires
        What installs the driver by pip, e.g. ``"pyserial"``; for the error of who lacks it.
    discover
        Function that returns each device of this kind that can be opened here.

    Raises
    ------
    ParameterError
        If the function has none of these forms, or a value cannot describe a stream. So does the
        class, for values that are none of an option's type.

    Examples
    --------
    >>> from rxstream import Device
    >>> @source(dtype="U80", live=False)
    ... def Lines(path: str):
    ...     "The lines of a text file."
    ...     with open(path) as file:
    ...         yield
    ...         for line in file:
    ...             yield line.rstrip("\n")
    >>> Lines("notes.txt"), Lines("a") == Lines("a"), Lines("a").info.dtype
    (Lines(path='notes.txt'), True, dtype('<U80'))
    >>> Device(Lines("nowhere.txt")).open()
    Traceback (most recent call last):
    rxstream.errors.DeviceNotFoundError: lines: FileNotFoundError: ... 'nowhere.txt'
    >>> Lines(5)
    Traceback (most recent call last):
    rxstream.errors.ParameterError: Lines: path must be str, not 5
    """
    if function is not None:
        name_of_it = getattr(function, "__name__", shown(function))
        msg = f"{name_of_it}: write @source(), with parentheses, above its def"
        raise ParameterError(msg)
    check_flag(live, "live")
    stream = {
        "name": name, "rate": rate, "shape": shape, "dtype": dtype, "unit": unit,
        "channels": channels, "counter": counter, "quantum": quantum,
        "device_clock": device_clock, "extra": extra,
    }  # fmt: skip

    def decorate(function: Callable[..., Any]) -> Any:
        form = _form(function, every)
        emits = "emit" in inspect.signature(function).parameters
        if not name:
            stream["name"] = function.__name__.lower()
        written = _Written(function, form, emits, stream, every, requires)
        namespace: dict[str, Any] = {"_written": written, "live": bool(live)}
        if discover is not None:
            namespace["discover"] = staticmethod(discover)
        without = ("emit",) if emits else ()
        cls = options_class(function, AuthoredSource, without=without, namespace=namespace)
        if not any(map(inspect.isfunction, [*stream.values(), every])):
            written.describe(None)
        return cls

    return decorate


class AuthoredSource:
    """A device that `source` has made; its class is a frozen dataclass of options."""

    _written: "_Written"
    live: bool

    if TYPE_CHECKING:

        def __getattr__(self, option: str) -> Any: ...

    def __post_init__(self) -> None:
        check_options(self, self._written.function)
        self._written.describe(self)

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before its first sample."""
        return self._written.describe(self)

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Start the hardware; see `Source.open`."""
        return self._written.open(self, emit, fail)


@dataclass(frozen=True, eq=False)
class _Written:
    """What an author has written.

    Attributes
    ----------
    function, form
        The function, and what it is.
    emits
        Whether it takes an ``emit``.
    stream
        Fields of the `StreamInfo`, or functions of the options.
    every, requires
        As given.
    """

    function: Callable[..., Any]
    form: Literal["generator", "async", "asked"]
    emits: bool
    stream: Mapping[str, Any]
    every: Any
    requires: str

    def describe(self, options: Any) -> StreamInfo:
        values = {name: _of(value, options) for name, value in self.stream.items()}
        values["extra"] = values["extra"] or {}
        info = StreamInfo(**values)
        if self.every is not None:
            to_span(_of(self.every, options), f"{info.name}: every")
            if info.rate is not None:
                msg = (
                    f"{info.name}: what is asked every so often has no rate of its own; leave out "
                    f"rate={info.rate:g}"
                )
                raise ParameterError(msg)
        return info

    def open(self, options: Any, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        info = self.describe(options)
        given = {item.name: getattr(options, item.name) for item in fields(options)}

        def make(put: EmitValue) -> Any:
            return self.function(**given | ({"emit": put} if self.emits else {}))

        if self.form == "async":
            return open_async(make, info, emit, fail, requires=self.requires)
        every = None if self.every is None else _of(self.every, options)
        if self.form == "asked":
            call, samples = partial(self.function, **given), Samples(info)
            return open_generator(
                lambda _: answers(call, samples), info, emit, fail,
                every=every, requires=self.requires,
            )  # fmt: skip
        return open_generator(make, info, emit, fail, every=every, requires=self.requires)


def _of(value: Any, options: Any) -> Any:
    """Return a value, or what a function of the options returns."""
    return value(options) if inspect.isfunction(value) else value


def _form(function: Any, every: Any) -> Literal["generator", "async", "asked"]:
    """Return what a function is; raise ParameterError if nothing can be made of it."""
    if not inspect.isfunction(function):
        msg = f"source takes a function, not {shown(function)}; write @source(...) above its def"
        raise ParameterError(msg)
    name, names = function.__name__, list(inspect.signature(function).parameters)
    generates = inspect.isgeneratorfunction(function)
    is_async = inspect.isasyncgenfunction(function)
    problem = ""
    if inspect.iscoroutinefunction(function):
        problem = "an async function must yield: once when the device is open, then each value"
    elif is_async and every is not None:
        problem = "an async generator waits by itself, by asyncio.sleep; leave out every="
    elif not (generates or is_async) and every is None:
        problem = "a function that is called again and again needs every=; or it yields"
    elif "emit" in names and not (generates or is_async):
        problem = "a function with emit must yield while the driver is connected"
    elif "emit" in names[1:]:
        problem = "emit must be the first parameter"
    elif "emit" in names and every is not None:
        problem = "a driver that calls back is not asked; leave out every="
    if problem:
        msg = f"{name}: {problem}"
        raise ParameterError(msg)
    return "async" if is_async else "generator" if generates else "asked"
