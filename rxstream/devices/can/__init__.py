"""can: a CAN bus, or a log file of one, through python-can (``pip install 'rxstream[can]'``)."""

from rxstream.devices.can.source import CAN_DTYPE, Can, CanFilter, CanFlag

__all__ = ["CAN_DTYPE", "Can", "CanFilter", "CanFlag"]
