"""Faults that a device survives: reported beside the stream, which goes on."""

import logging
from typing import TypeAlias

from reactivex.subject import Subject

from rxstream.errors import RxStreamError
from rxstream.timing.stamp import ClockEvent

__all__ = ["Fault", "Faults"]

_logger = logging.getLogger(__name__)

Fault: TypeAlias = RxStreamError | ClockEvent
"""An error that was survived (a `DeviceError`, a `SubscriberError`), or a finding of the clock."""


class Faults(Subject[Fault]):
    """Subject whose observers may raise: the others and the stream are not touched.

    Parameters
    ----------
    name
        Name of the stream, for log messages.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def _on_next_core(self, value: Fault) -> None:
        with self.lock:
            observers = self.observers.copy()
        for observer in observers:
            try:
                observer.on_next(value)
            except Exception:
                _logger.exception("%s: a subscriber of faults raised", self._name)
