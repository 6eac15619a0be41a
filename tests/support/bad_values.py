"""Bad values for every parameter of the public API, found by introspection.

A callable is called with good values but for one parameter. It may take the bad value, or refuse
it by an error of ours, or by a TypeError that it raises on purpose: nothing else may come out.
"""

import datetime as dt
import inspect
import linecache
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rxstream.errors import RxStreamError

__all__ = ["BAD", "Case", "cases_of", "defect_of", "methods_of"]

BAD: dict[str, Any] = {
    "None": None, "True": True, "0": 0, "-1": -1, "1": 1, "10**400": 10**400, "2**63": 2**63,
    "-(2**70)": -(2**70), "0.0": 0.0, "-0.5": -0.5, "1e308": 1e308, "-1e308": -1e308,
    "5e-324": 5e-324, "1e-9": 1e-9, "nan": float("nan"), "inf": float("inf"), "-inf": -float("inf"),
    "1j": 1j, "np.nan": np.float64("nan"), "np.int8": np.int8(-1), "''": "", "text": "\x1b[2J",
    "bytes": b"x", "[]": [], "[None]": [None], "()": (), "(1, 2)": (1, 2), "{}": {}, "set": {1},
    "object": object(), "class": int, "function": lambda: None, "method": "x".join,
    "empty array": np.array([]), "array": np.zeros((2, 3)), "text array": np.array("x"),
    "object array": np.array([None, {}], object), "NaT": np.datetime64("NaT"),
    "span NaT": np.timedelta64("NaT"), "years": np.timedelta64(1, "Y"), "dtype": np.dtype("U3"),
    "timedelta": dt.timedelta(-1), "longest": dt.timedelta.max,
    "naive": dt.datetime(2020, 1, 1),  # noqa: DTZ001 - that is what is bad
    "ancient": dt.datetime(1, 1, 1, tzinfo=dt.UTC), "date": np.datetime64("2262-12-31"),
    "million": [0.5] * 10**6, "long text": "x" * 10**6, "deep": (((((),),),),),
    "slice": slice(None),    "iterator": iter([1]), "exception": ValueError("x"), "module": types,
}  # fmt: skip
"""Values of all kinds; some are good for some parameters."""

# Longest text of an error [characters].
_MAX_TEXT = 600


class Case:
    """One call with one bad value."""

    def __init__(
        self, function: Callable[..., Any], args: list[Any], kwargs: Mapping[str, Any], what: str
    ) -> None:
        self.function, self.args, self.kwargs, self.what = function, args, kwargs, what

    def call(self) -> Any:
        """Call it."""
        return self.function(*self.args, **self.kwargs)


def cases_of(
    name: str, function: Callable[..., Any], good: Mapping[str, Any], skip: frozenset[str]
) -> Iterator[Case]:
    """Yield calls of a function with good values but for one.

    Parameters
    ----------
    name
        Name of the function, for messages.
    function
        What to call; its signature is asked.
    good
        Values by ``parameter`` or ``function.parameter``; what has a default may be left out.
    skip
        Bad values that are good here, or have no meaning: ``parameter value``.
    """
    parameters = [
        p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")
    ]
    values: dict[str, Any] = {}
    for p in parameters:
        key = f"{name}.{p.name}" if f"{name}.{p.name}" in good else p.name
        required = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if required or key != p.name or p.kind is p.VAR_POSITIONAL:
            if key not in good:
                msg = f"say what a good value of {name}({p.name}=) is, in tests/attack"
                raise LookupError(msg)
            values[p.name] = good[key]
    yield _case(function, parameters, values, f"{name}: good values")
    for p in parameters:
        for label, bad in BAD.items():
            if f"{p.name} {label}" not in skip and f"{name}.{p.name} {label}" not in skip:
                changed = values | {p.name: _as_many(p, bad)}
                yield _case(function, parameters, changed, f"{name}({p.name}={label})")


def _as_many(parameter: inspect.Parameter, value: Any) -> Any:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return (value,)
    if parameter.kind is parameter.VAR_KEYWORD:
        return {"name": value}
    return value


def _case(
    function: Callable[..., Any],
    parameters: list[inspect.Parameter],
    values: Mapping[str, Any],
    what: str,
) -> Case:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    several = any(p.kind is p.VAR_POSITIONAL and p.name in values for p in parameters)
    for p in parameters:
        if p.name not in values:
            continue
        value = values[p.name]
        made = value() if isinstance(value, Make) else value
        if p.kind is p.VAR_POSITIONAL:
            args.extend(made)
        elif p.kind is p.VAR_KEYWORD:
            kwargs.update(made)
        elif p.kind is p.POSITIONAL_ONLY or (several and p.kind is p.POSITIONAL_OR_KEYWORD):
            args.append(made)
        else:
            kwargs[p.name] = made
    return Case(function, args, kwargs, what)


class Make:
    """A good value that is made anew for each call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __call__(self) -> Any:
        return self._make()


def methods_of(kind: type) -> list[str]:
    """Return the public methods of a class that rxstream defines, RxPY's left out."""
    found = []
    for name, member in inspect.getmembers(kind):
        function = member if callable(member) else None
        module = getattr(inspect.unwrap(function), "__module__", "") if function else ""
        if not name.startswith("_") and (module or "").startswith("rxstream"):
            found.append(name)
    return found


def defect_of(case: Case, use: Callable[[Any], Any] | None = None) -> str | None:
    """Call it, and use what it returns; return what is wrong with the error, or None."""
    try:
        result = case.call()
        if use is not None:
            use(result)
    except Exception as error:
        if not isinstance(error, RxStreamError) and not _on_purpose(error):
            return f"{case.what}: {type(error).__name__}: {str(error)[:100]} {_place(error)}"
        if len(str(error)) > _MAX_TEXT:
            return f"{case.what}: an error of {len(str(error))} characters: {str(error)[:80]}"
    return None


def _on_purpose(error: BaseException) -> bool:
    """Whether a TypeError, KeyError or IndexError comes from a ``raise`` of ours, or the call."""
    if not isinstance(error, TypeError | KeyError | IndexError | EOFError):
        return False
    last = error.__traceback__
    assert last is not None
    while last.tb_next is not None:
        last = last.tb_next
    path = last.tb_frame.f_code.co_filename
    if path == __file__:
        return isinstance(error, TypeError)
    line = linecache.getline(path, last.tb_lineno).strip()
    return "/rxstream/" in path and line.startswith("raise ")


def _place(error: BaseException) -> str:
    at = error.__traceback__
    places = []
    while at is not None:
        path = at.tb_frame.f_code.co_filename
        if "rxstream/" in path or "operators/" in path:
            places.append(f"{path.rpartition('rxstream/')[2]}:{at.tb_lineno}")
        at = at.tb_next
    return "@ " + " ".join(places[-2:])
