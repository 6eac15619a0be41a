"""Pictures and tables of a chunk; their heavy imports wait until somebody asks.

Works on anything with the attributes of a `rxstream.data.chunk.Chunk`, and so lies below it.
"""

from rxstream.display.axes import plot_chunk
from rxstream.display.html import chunk_html
from rxstream.display.tables import chunk_to_pandas, chunk_to_xarray

__all__ = ["chunk_html", "chunk_to_pandas", "chunk_to_xarray", "plot_chunk"]
