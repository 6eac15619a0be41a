"""Rules of a source that is not open: its description and its options."""

import contextlib
import dataclasses
import inspect
import pickle
import sys
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from rxstream.acquisition.source import Source
from rxstream.data.stream_info import StreamInfo
from rxstream.printable import error_line, shown

__all__ = ["broken", "check_info", "check_options"]


def broken(rule: str, what: str, remedy: str) -> AssertionError:
    """Return the error of a rule that is broken: its name, how, and what to do."""
    return AssertionError(f"{rule}: {what}; {remedy}")


@contextlib.contextmanager
def _starts() -> Iterator[list[threading.Thread]]:
    """Return the threads that this thread starts meanwhile; others may start some too."""
    here, start, started = threading.current_thread(), threading.Thread.start, []

    def note(thread: threading.Thread) -> None:
        if threading.current_thread() is here:
            started.append(thread)
        start(thread)

    with mock.patch.object(threading.Thread, "start", note):
        yield started


def check_info(source: Source) -> None:
    """Look at the description of the stream before it is open."""
    modules = set(sys.modules)
    with _starts() as started:
        info = source.info
    if not isinstance(info, StreamInfo) or source.info != info:
        what = f"it is {shown(info)}, then {shown(source.info)}"
        raise broken("info", what, "return the same StreamInfo each time, made of the options")
    loaded = {name.partition(".")[0] for name in set(sys.modules) - modules}
    drivers = sorted(loaded - sys.stdlib_module_names - {"rxstream", "numpy"})
    if started or drivers:
        what = f"it loads {', '.join(drivers)}" if drivers else "it starts a thread"
        raise broken("info", what, "describe the stream by its options alone; load drivers in open")
    if info.dtype.hasobject:
        what = f"samples of {info.dtype} are Python objects, which cannot be recorded or sent"
        raise broken("info", what, "give a dtype of numbers and text, e.g. [('x', 'f8')]")


def check_options(source: Source) -> None:
    """Look at the options as plain values."""
    rule, kind = "options", type(source)
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        what = f"{kind.__name__} is no frozen dataclass"
        raise broken(rule, what, "write @dataclass(frozen=True) above it, or use @source")
    text = inspect.getdoc(kind) or ""
    # a dataclass without one gets its signature
    if not text or text.startswith(f"{kind.__name__}("):
        raise broken(rule, f"{kind.__name__} has no docstring", "say what it is and its options")
    try:
        hash(source)
    except TypeError as error:
        raise broken(rule, error_line(error), "make lists tuples, and dicts too") from error
    try:
        again = pickle.loads(pickle.dumps(source))  # noqa: S301 - just made here
    except Exception as error:
        what = f"it cannot be pickled: {error_line(error)}"
        remedy = "define it in a module; open locks, threads and files in open, not in the options"
        raise broken(rule, what, remedy) from error
    if again != source or hash(again) != hash(source):
        what = f"{shown(source)} is not equal to its pickled copy"
        raise broken(rule, what, "compare the options alone: field(compare=False) for what is else")
    _check_repr(source)


def _check_repr(source: Any) -> None:
    names = (
        vars(np)
        | vars(sys.modules[type(source).__module__])
        | {type(source).__name__: type(source)}
    )
    options = [item for item in dataclasses.fields(source) if item.init and item.repr]
    try:
        for item in options:
            value = getattr(source, item.name)
            # a function, or an object of somebody else, has a repr of its own kind
            again = eval(repr(value), dict(names))  # noqa: S307 - of the author
            # numpy rounds what it prints, and leaves out the middle of a long array
            if isinstance(value, np.ndarray) and not np.array_equal(value, again):
                return
    except Exception:  # noqa: BLE001 - as above
        return
    try:
        again = eval(repr(source), dict(names))  # noqa: S307 - of the author
    except Exception as error:
        what = f"its repr {shown(repr(source))} cannot be evaluated: {error_line(error)}"
        raise broken("options", what, "leave the repr to dataclass") from error
    if again != source:
        what = f"its repr {shown(repr(source))} evaluates to another one"
        raise broken("options", what, "leave the repr to dataclass")
