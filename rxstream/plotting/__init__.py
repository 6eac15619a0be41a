"""Pictures and tables of a chunk; their heavy imports wait until somebody asks.

Works on anything with the attributes of a `rxstream.chunk.Chunk`, and so lies below it.
"""

from rxstream.plotting.axes import plot_chunk
from rxstream.plotting.html import chunk_html
from rxstream.plotting.tables import chunk_to_pandas, chunk_to_xarray

__all__ = ["chunk_html", "chunk_to_pandas", "chunk_to_xarray", "plot_chunk"]
