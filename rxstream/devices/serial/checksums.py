"""Checksums of packets."""

import binascii
import zlib
from collections.abc import Callable
from functools import reduce
from operator import xor
from typing import Literal, TypeAlias

__all__ = ["CHECKSUMS", "Checksum"]

Checksum: TypeAlias = Literal["sum", "negsum", "xor", "crc16-ccitt", "crc16-modbus", "crc32"]
"""Names of checksums; a sum is cut to the width of its field."""


def _crc16_modbus(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


CHECKSUMS: dict[str, Callable[[bytes], int]] = {
    "sum": sum,
    "negsum": lambda data: -sum(data),
    "xor": lambda data: reduce(xor, data, 0),
    "crc16-ccitt": lambda data: binascii.crc_hqx(data, 0xFFFF),
    "crc16-modbus": _crc16_modbus,
    "crc32": zlib.crc32,
}
