"""What a chunk looks like: as HTML, as a plot, as a table."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Displayed"]


class Displayed:
    """The part of a chunk that shows it; what draws it is loaded when it is asked for."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(_display().chunk_html(self))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw it with matplotlib, gaps shaded; return the axes.

        Without pyplot in a figure of its own; save that by ``axes.figure.savefig("chunk.png")``.
        """
        axes: Axes = _display().plot_chunk(self, ax)
        return axes

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame indexed by UTC time; a column for each channel or field."""
        table: pd.DataFrame = _display().chunk_to_pandas(self)
        return table

    def to_xarray(self) -> "xr.DataArray | xr.Dataset":
        """Return a DataArray (structured samples: a Dataset) with the coordinate ``time``."""
        array: xr.DataArray | xr.Dataset = _display().chunk_to_xarray(self)
        return array


def _display() -> Any:
    from rxstream import display  # it draws chunks, so it imports their modules

    return display
