"""A chunk as a pandas or xarray object."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.optional import import_optional

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["chunk_to_pandas", "chunk_to_xarray"]


def chunk_to_pandas(chunk: Chunk) -> "pd.DataFrame":
    """Return a DataFrame with a row for each sample.

    The index is the time, UTC in nanoseconds. Columns are the channels by their labels, the
    numbers of a sample in their order, or the fields of a structured one: a field of bytes
    (``uint8``) stays together as ``bytes``, other arrays become ``field[0]``, ``field[1]`` …
    ``attrs`` has name, rate [Hz], unit, and gaps with times [ns].

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    ParameterError
        If there are dates without a unit.
    """
    pandas = import_optional("pandas", extra="frames")
    _check_units(chunk, chunk.data.dtype)
    index = pandas.DatetimeIndex(_times(chunk), tz="UTC", name="time")
    if chunk.data.dtype.names:
        frame = pandas.DataFrame(dict(_fields(chunk)), index=index)
    else:
        frame = pandas.DataFrame(_flat(chunk.data), index=index, columns=_labels(chunk))
    frame.attrs = _facts(chunk) | {"gaps": _gaps(chunk)}
    return cast("pd.DataFrame", frame)


def chunk_to_xarray(chunk: Chunk) -> "xr.DataArray | xr.Dataset":
    """Return a DataArray with the coordinate ``time``, or of structured samples a Dataset.

    The other dimensions are ``channel`` (with its labels), ``y, x[, channel]`` of images, or
    ``dim_1`` … ``attrs`` has name, rate [Hz], unit (as ``units`` too, where xarray's plots look
    for it), and gaps as JSON, since a netCDF file takes nothing richer.

    Raises
    ------
    MissingExtraError
        If xarray is not installed.
    ParameterError
        If there are dates without a unit.
    """
    xarray = import_optional("xarray", extra="frames")
    _check_units(chunk, chunk.data.dtype)
    data, info = chunk.data, chunk.info
    attrs = _facts(chunk)
    if info.unit:
        attrs["units"] = info.unit
    if chunk.gaps:
        attrs["gaps"] = json.dumps(_gaps(chunk))
    coords: dict[str, Any] = {"time": _times(chunk)}
    if data.dtype.names:
        fields = {}
        for name in data.dtype.names:
            # A field called "time" must not replace the coordinate.
            part, label = data[name], name if name not in coords else f"{name}_"
            fields[label] = (_dims(part, prefix=name), part)
        return cast("xr.Dataset", xarray.Dataset(fields, coords=coords, attrs=attrs))
    dims = _dims(data)
    if info.channels and len(info.channels) == data.shape[-1] and data.ndim > 1:
        dims = (*dims[:-1], "channel")
        coords["channel"] = list(info.channels)
    array = xarray.DataArray(data, dims=dims, coords=coords, name=info.name, attrs=attrs)
    return cast("xr.DataArray", array)


def _check_units(chunk: Chunk, dtype: np.dtype[Any]) -> None:
    """Raise ParameterError if samples hold dates or durations of which nobody knows the unit."""
    for name in dtype.names or ():
        _check_units(chunk, dtype[name].base)
    if dtype.kind in "Mm" and np.datetime_data(dtype)[0] == "generic":
        msg = (
            f"{chunk.info.name}: its {dtype.name} have no unit, and a table needs one; give them "
            f"one before, e.g. with ops.map_data and astype('{dtype.name}[ns]')"
        )
        raise ParameterError(msg)


def _times(chunk: Chunk) -> NDArray[np.datetime64]:
    stamps: NDArray[np.datetime64] = chunk.time.astype("datetime64[ns]")
    return stamps


def _facts(chunk: Chunk) -> dict[str, Any]:
    info = chunk.info
    return {"name": info.name, "unit": info.unit} | (
        {} if info.rate is None else {"rate": info.rate}
    )


def _gaps(chunk: Chunk) -> list[dict[str, Any]]:
    return [
        {"start": int(gap.start), "end": int(gap.end), "lost": gap.lost, "reason": gap.reason}
        for gap in chunk.gaps
    ]


def _dims(data: NDArray[Any], prefix: str = "dim") -> tuple[str, ...]:
    inner = data.ndim - 1
    if prefix == "dim" and inner == 1:
        return ("time", "channel")
    if prefix == "dim" and inner in (2, 3) and min(data.shape[1:3]) >= 8:
        return ("time", "y", "x", "channel")[: inner + 1]
    return ("time", *(f"{prefix}_{i + 1}" for i in range(inner)))


def _flat(data: NDArray[Any]) -> NDArray[Any]:
    return data.reshape(len(data), int(np.prod(data.shape[1:], dtype=np.int64)))


def _labels(chunk: Chunk) -> list[Any]:
    data, info = chunk.data, chunk.info
    if data.ndim == 1:
        return [info.name]
    count = int(np.prod(data.shape[1:], dtype=np.int64))
    return list(info.channels) if len(info.channels) == count else list(range(count))


def _fields(chunk: Chunk) -> Iterator[tuple[str, Any]]:
    for name in chunk.dtype.names or ():
        yield from _field(name, chunk.data[name])


def _field(name: str, values: NDArray[Any]) -> Iterator[tuple[str, Any]]:
    if values.dtype.names:
        for inner in values.dtype.names:
            yield from _field(f"{name}.{inner}", values[inner])
    elif values.ndim == 1:
        yield name, values
    elif values.dtype == np.uint8 and values.ndim == 2:
        yield name, [row.tobytes() for row in values]
    else:
        for i, column in enumerate(_flat(values).T):
            yield f"{name}[{i}]", column
