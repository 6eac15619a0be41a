"""What a forked child does with the devices of its parent: it has neither threads nor hardware."""

import os
import weakref
from typing import Protocol

__all__ = ["forget_in_child"]


class _Used(Protocol):
    def forget_parent(self) -> None: ...


_used: "weakref.WeakSet[_Used]" = weakref.WeakSet()


def forget_in_child(device: _Used) -> None:
    """Have ``forget_parent`` of a device called in each forked child, as long as it lives."""
    _used.add(device)


def _forget_parents() -> None:
    for device in list(_used):
        device.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
