"""What has failed in this process: devices and sinks note it, a program asks for its exit code."""

import os
from collections import deque

from rxstream.printable import error_text, printable

__all__ = ["failed", "forget_failures", "note_failure"]

# The first ones: what came later is often a consequence.
_MAX_KEPT = 100

# Texts, since an exception holds the frames it came through, and these the samples they worked on.
_failures: deque[str] = deque()


def note_failure(name: str, error: BaseException) -> None:
    """Note that a device or a sink has failed; takes no lock, and may be called in any thread.

    Parameters
    ----------
    name
        Name of the device or the sink.
    error
        What it failed with.

    Examples
    --------
    >>> note_failure("mic", OSError("unplugged"))
    >>> failed()
    ('mic: OSError: unplugged',)
    >>> forget_failures()
    """
    if len(_failures) < _MAX_KEPT:
        kind, text = type(error).__name__, error_text(error).removeprefix(f"{name}: ")
        _failures.append(printable(f"{name}: {kind}: {text}" if text else f"{name}: {kind}", 500))


def failed() -> tuple[str, ...]:
    """Return what has failed in this process so far: devices that ended by an error, and sinks.

    Returns
    -------
    failures
        A line each, the first 100; empty, and so false, if nothing has failed.

    Examples
    --------
    >>> import rxstream
    >>> rxstream.failed()
    ()

    The last line of a program, so that who started it knows::

        sys.exit(bool(rxstream.failed()))
    """
    return tuple(_failures)


def forget_failures() -> None:
    """Begin anew, as a forked child does."""
    _failures.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_failures)
