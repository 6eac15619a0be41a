"""Drawings and tables of chunks and clips; matplotlib, pandas and xarray load on first use."""

from rxstream.display.axes import plot_chunk
from rxstream.display.clip_axes import plot_clip
from rxstream.display.html import chunk_html
from rxstream.display.tables import chunk_to_pandas, chunk_to_xarray

__all__ = ["chunk_html", "chunk_to_pandas", "chunk_to_xarray", "plot_chunk", "plot_clip"]
