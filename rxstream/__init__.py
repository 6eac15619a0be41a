"""Live device streams as rewindable Observables."""

from rxstream.chunk import Chunk, Gap, Reading, StreamInfo, concat

__all__ = ["Chunk", "Gap", "Reading", "StreamInfo", "concat"]
