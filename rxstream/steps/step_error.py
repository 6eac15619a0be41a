"""What an exception of a step or an operator becomes, on its way downstream."""

import threading
from typing import Any

from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["belongs_to_caller", "no_chunk", "step_error"]


def belongs_to_caller(error: BaseException) -> bool:
    """Whether an exception ends the program: an exit or interrupt in its main thread."""
    return (
        isinstance(error, KeyboardInterrupt | SystemExit)
        and threading.current_thread() is threading.main_thread()
    )


def step_error(error: BaseException, item: object) -> Any:
    """Return what goes downstream for an exception that a step raised; called while it is handled.

    Parameters
    ----------
    error
        What the step raised. An exit or interrupt of the main thread is raised again.
    item
        What the step was given; None at the end.

    Returns
    -------
    error
        The same, or a `ParameterError` if the step was given something that is no chunk.
    """
    if belongs_to_caller(error):
        raise error
    if _asks_for_chunk(error, item):
        wrong = no_chunk(item)
        wrong.__cause__ = error
        return wrong
    return error


def _asks_for_chunk(error: BaseException, item: object) -> bool:
    """Whether an error says that an item lacks what chunks have, and not something of its own."""
    if isinstance(error, AttributeError):
        return error.obj is item and hasattr(Chunk, error.name or "")
    unsized = f"object of type '{type(item).__name__}' has no len()"
    return type(error) is TypeError and str(error) == unsized


def no_chunk(item: object) -> ParameterError:
    """Return the error that says that an item is no chunk, and what to do."""
    if isinstance(item, list | tuple) and item and isinstance(item[0], Chunk):
        remedy = (
            "pick one, rxo.map(lambda chunks: chunks[0]), or join those of one stream, "
            "rxo.map(rxstream.concat)"
        )
    elif isinstance(item, list | tuple):
        remedy = "of an RxPY buffer, put it behind the operators"
    else:
        remedy = "make chunks of it: Chunk.regular(samples, info, start=...) or Chunk.stamped"
    kind = type(item).__name__
    msg = (
        f"rxstream operators take chunks, and this one was given {kind} {shown(item, 60)}; {remedy}"
    )
    return ParameterError(msg)
