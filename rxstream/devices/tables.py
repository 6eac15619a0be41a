"""Tables of pandas as arrays; pandas itself is not loaded."""

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["columns_of", "is_table", "times_of"]


def is_table(data: object) -> TypeGuard[Any]:
    """Whether it is a DataFrame or a Series."""
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "index")


def columns_of(
    table: Any, times: Any, channels: tuple[str, ...], *, has_rate: bool
) -> tuple[NDArray[Any], Any, tuple[str, ...]]:
    """Return a table as samples ``(n, *shape)``, their times, and the names of channels.

    Parameters
    ----------
    table
        A DataFrame or a Series.
    times
        Times of its rows, or the name of the column that has them; None: its index.
    channels
        Names of channels; empty: those of the columns.
    has_rate
        Whether a rate says when samples were taken, if nothing else does.

    Raises
    ------
    ParameterError
        If a column cannot be an array of numbers or texts, or there are no times.
    """
    names = [] if not hasattr(table, "columns") else [str(name) for name in table.columns]
    if isinstance(times, str):
        if times not in names:
            msg = f"Playback: the table has no column {times!r}; it has {', '.join(names)}"
            raise ParameterError(msg)
        names = [name for name in names if name != times]
        table, times = table.drop(columns=times), table[times].values
    elif times is None and not has_rate:
        times = table.index.values
        if times.dtype.kind != "M":
            msg = (
                "Playback: the index of the table has no times; give times= (the name of a column, "
                "or an array), or rate="
            )
            raise ParameterError(msg)
    if not hasattr(table, "columns"):
        return _column(table, str(table.name)), times, channels
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"Playback: the table has several columns {twice[0]!r}; rename them first"
        raise ParameterError(msg)
    columns = [_column(table.iloc[:, k], name) for k, name in enumerate(names)]
    kinds = {column.dtype for column in columns}
    if len(kinds) == 1 and columns[0].dtype.kind in "iuf":
        return np.stack(columns, axis=1), times, channels or tuple(names)
    fields = [(name, column.dtype) for name, column in zip(names, columns, strict=True)]
    data = np.zeros(len(table), fields)
    for name, column in zip(names, columns, strict=True):
        data[name] = column
    return data, times, channels


def _column(column: Any, name: str) -> NDArray[Any]:
    """Return a column of numbers, times or texts."""
    # times with a zone have their UTC there
    zoned = getattr(column.dtype, "tz", None) is not None
    values = column.values if zoned else column.to_numpy()
    if values.dtype.kind in "iufbM":
        return np.asarray(values)
    flags = column.dtype.name == "boolean"  # with others that are missing, which bool cannot be
    for row, value in enumerate(values):
        if not isinstance(value, bool if flags else str):
            msg = (
                f"Playback: row {row} of column {name!r} is {shown(value)}, no number and no text; "
                "convert it, or drop the column"
            )
            raise ParameterError(msg)
    return np.asarray(values, np.str_) if len(values) else np.empty(0, "U1")


def times_of(times: Any, n: int) -> NDArray[np.int64]:
    """Return times [ns] as int64 ``(n,)`` that do not go back.

    Examples
    --------
    >>> times_of(np.array(["1970-01-01T00:00:01", "1970-01-01T00:00:02"], "M8[s]"), 2).tolist()
    [1000000000, 2000000000]
    >>> times_of([5, 3], 2)
    Traceback (most recent call last):
    rxstream.errors.ParameterError: Playback: the time of sample 1 lies before that of sample 0; ...
    """
    # an index of pandas has its UTC there
    given = np.asarray(getattr(times, "values", times))
    if given.dtype.kind not in "iuM" or given.shape != (n,):
        msg = (
            f"Playback: times must be int nanoseconds or datetime64 ({n},), not {given.dtype} "
            f"{given.shape}"
        )
        raise ParameterError(msg)
    if given.dtype.kind == "M":
        if np.isnat(given).any():
            msg = f"Playback: the time of sample {int(np.isnat(given).argmax())} is NaT"
            raise ParameterError(msg)
        in_ns = given.astype("M8[ns]")
        wrapped = in_ns.astype(given.dtype) != given
        given = in_ns
    else:
        wrapped = given.astype(np.int64) != given
    if wrapped.any():
        msg = (
            f"Playback: the time of sample {int(wrapped.argmax())} is none that int64 nanoseconds "
            "since 1970 can be"
        )
        raise ParameterError(msg)
    found: NDArray[np.int64] = given.astype(np.int64)
    back = np.flatnonzero(found[1:] < found[:-1])
    if len(back):
        msg = (
            f"Playback: the time of sample {back[0] + 1} lies before that of sample {back[0]}; "
            "sort them first"
        )
        raise ParameterError(msg)
    found.flags.writeable = False
    return found
