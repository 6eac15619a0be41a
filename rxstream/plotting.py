"""Pictures and tables of a chunk; its heavy imports wait until somebody asks.

Works on anything with the attributes of a `rxstream.chunk.Chunk`, and so lies below it.
"""

from typing import Any

__all__ = ["chunk_html", "chunk_to_pandas", "chunk_to_xarray", "plot_chunk"]


def chunk_html(chunk: Any) -> str:
    """Return a small picture and a line of facts for a notebook."""
    return repr(chunk)


def plot_chunk(chunk: Any, ax: Any = None) -> Any:
    """Draw a chunk with matplotlib."""
    raise NotImplementedError


def chunk_to_pandas(chunk: Any) -> Any:
    """Return a DataFrame."""
    raise NotImplementedError


def chunk_to_xarray(chunk: Any) -> Any:
    """Return a DataArray."""
    raise NotImplementedError
