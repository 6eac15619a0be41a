"""Windows with chunks in them, and the values of chunks."""

from typing import Any

from rxstream import Chunk, TimeWindowSubject


def filled(history: float, *chunks: Chunk[Any], **options: Any) -> TimeWindowSubject:
    """Return a window with chunks in it."""
    subject = TimeWindowSubject(history, **options)
    for chunk in chunks:
        subject.on_next(chunk)
    return subject


def values(chunks: list[Chunk[Any]]) -> list[int]:
    """Return the values of all samples."""
    return [int(v) for chunk in chunks for v in chunk.data]
