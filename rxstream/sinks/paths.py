"""Paths that sinks write to: what can be written, who writes it, whether it is still there."""

import errno
import os
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path

from rxstream.errors import ParameterError, SinkError
from rxstream.printable import shown

__all__ = ["claim", "explain", "identity", "path_to_write", "release"]

# what to do about a file that cannot be written
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "write several files, with rotate= where the sink has it",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "give the path of a file in it",
    errno.ENOENT: "make the folder, and keep it while the sink is open",
    errno.ENOTDIR: "make the folder, and keep it while the sink is open",
    errno.ENFILE: "close other files, or raise the system's limit (sysctl fs.file-max)",
    errno.EMFILE: "close other files, or raise the limit (ulimit -n)",
}

# re-entrant: a signal handler may close a sink in the midst of another
_guard = threading.RLock()
# the open sinks of this process by the paths they write
_writers: "weakref.WeakValueDictionary[str, object]" = weakref.WeakValueDictionary()


def path_to_write(path: str | os.PathLike[str], *suffixes: str) -> Path:
    """Return a path that a file can be written to; sinks call this when they are made.

    Parameters
    ----------
    path
        Path of the file; an existing one will be replaced. ``~`` is the home folder.
    suffixes
        Allowed suffixes in lower case, e.g. ``".wav"``; none: any.

    Raises
    ------
    ParameterError
        If ``path`` is not a path, has no existing folder, is a folder, may not be written, is too
        long, or has another suffix.

    Examples
    --------
    >>> path_to_write("sound.mp3", ".flac", ".wav")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: the suffix must be one of .flac, .wav, not '.mp3' ('sound.mp3')
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        msg = f"path must be that of a file, not {path!r}"
        raise ParameterError(msg)
    found = Path(text).expanduser()
    if suffixes and found.suffix.lower() not in suffixes:
        msg = (
            f"the suffix must be one of {', '.join(suffixes)}, not {shown(found.suffix)} "
            f"({shown(text)})"
        )
        raise ParameterError(msg)
    try:
        _check_place(found, text)
    except OSError as error:
        raise ParameterError(str(explain(error, found))) from error
    return found


def _check_place(path: Path, text: str) -> None:
    if path.is_dir():
        msg = f"{shown(text)} is a folder; give the path of a file in it"
        raise ParameterError(msg)
    if not path.parent.is_dir():
        msg = f"there is no folder {str(path.parent)!r} to write {path.name!r} to; make it first"
        raise ParameterError(msg)
    # stat, and not exists, which hides what is wrong with a name
    try:
        path.stat()
    except FileNotFoundError:
        place = path.parent
    else:
        place = path
    if not os.access(place, os.W_OK):
        name = str(place.absolute())
        msg = f"{shown(name)} cannot be written; choose another folder, or change its permissions"
        raise ParameterError(msg)


def explain(error: OSError, path: Path) -> SinkError:
    """Return an error of the operating system as one that says where, why, and what to do."""
    cause = os.strerror(error.errno) if error.errno else str(error)
    remedy = _REMEDIES.get(error.errno or 0)
    found = SinkError(f"{path}: cannot be written: {cause}" + (f"; {remedy}" if remedy else ""))
    found.errno, found.filename = error.errno, str(path)
    return found


def claim(paths: Iterable[Path], sink: object, name: str) -> None:
    """Take paths for one sink, until `release` or until it is dropped.

    Raises
    ------
    ParameterError
        If another open sink writes one of them.
    """
    keys = [os.path.realpath(path) for path in paths]
    with _guard:
        for key in keys:
            if _writers.get(key, sink) is not sink:
                msg = (
                    f"{name}: another open sink writes {key}; close that one first, or give "
                    "another path"
                )
                raise ParameterError(msg)
        for key in keys:
            _writers[key] = sink


def release(sink: object) -> None:
    """Give up all paths of a sink."""
    with _guard:
        for key in [key for key, found in _writers.items() if found is sink]:
            _writers.pop(key, None)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what identifies the file at a path, not one that replaces it; None of no file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


if hasattr(os, "register_at_fork"):

    def _renew() -> None:
        # a lock that another thread of the parent held stays held
        global _guard
        _guard = threading.RLock()

    os.register_at_fork(after_in_child=_renew)
