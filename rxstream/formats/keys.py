"""Keys as a structured array, and the text that they make."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY_DTYPE", "typed"]

KEY_DTYPE = np.dtype([("key", "U32"), ("pressed", np.bool_)])
"""One key stroke: the key's character or name, and whether it went down or up.

The longest name that there is, ``"ctrl+alt+shift+paste_begin"``, has 26 characters.
"""

_CHARACTERS = {"space": " ", "enter": "\n", "tab": "\t"}


class _Keys(Protocol):
    """A chunk of keys; this layer knows no `Chunk`."""

    @property
    def data(self) -> NDArray[Any]: ...


def typed(keys: _Keys) -> str:
    """Return the text that keys make: characters, space, tab, enter; backspace deletes one.

    Parameters
    ----------
    keys
        A chunk ``(n,)`` of `KEY_DTYPE`, from `Keyboard` or ``Simulated.keyboard()``. Released
        keys make no character.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream import Chunk
    >>> from rxstream.devices.keyboard import KEY_DTYPE, Keyboard, typed
    >>> data = np.zeros(5, KEY_DTYPE)
    >>> data["key"], data["pressed"] = ["o", "n", "backspace", "k", "space"], True
    >>> typed(Chunk.stamped(data, range(5), Keyboard().info))
    'ok '
    """
    text: list[str] = []
    for key, pressed in keys.data.tolist():
        if pressed and (len(key) == 1 or key in _CHARACTERS):
            text.append(_CHARACTERS.get(key, key))
        elif pressed and key == "backspace" and text:
            text.pop()
    return "".join(text)
