"""A small PNG writer, for images in a notebook without an image library."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["data_url", "encode"]


def encode(image: NDArray[np.uint8]) -> bytes:
    r"""Return red, green and blue ``(h, w, 3)`` uint8 as a PNG file.

    Examples
    --------
    >>> encode(np.zeros((1, 1, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width, _ = image.shape
    # Each row begins with the number of its filter, 0 for none.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, body) for kind, body in parts)


def _part(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def data_url(image: NDArray[np.uint8]) -> str:
    """Return an image as a ``data:`` URL, which holds all of it."""
    return "data:image/png;base64," + base64.b64encode(encode(image)).decode("ascii")
