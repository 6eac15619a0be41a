"""Frames of FLAC: taken out of a file, and given another number (RFC 9639, section 9)."""

__all__ = ["frames_of", "numbered"]

_MARK = 4  # "fLaC" [bytes]
_BLOCK_HEAD = 4  # of a block of metadata: whether it is the last, its kind, 3 bytes of length
# where the number of a frame begins: behind the code of synchrony and those of its kind
_NUMBER_AT = 4
# the generators of the check sums, without their highest bit
_CRC8, _CRC16 = 0x07, 0x8005


def frames_of(file: bytes) -> bytes:
    """Return what follows the metadata of a FLAC file."""
    at, last = _MARK, False
    while not last:
        last = bool(file[at] & 0x80)
        at += _BLOCK_HEAD + int.from_bytes(file[at + 1 : at + _BLOCK_HEAD], "big")
    return file[at:]


def numbered(frame: bytes, number: int) -> bytes:
    """Return the first frame of a file as that of a number, with its check sums."""
    # the number of the first frame, 0, is one byte
    more = _extra_bytes(frame)
    rest = frame[_NUMBER_AT + 1 :]
    head = frame[:_NUMBER_AT] + _coded(number) + rest[:more]
    whole = head + _crc(head, 8) + rest[more + 1 : -2]
    return whole + _crc(whole, 16)


def _extra_bytes(frame: bytes) -> int:
    """Return how many bytes of the head follow the number: block size and rate, if uncommon."""
    size, rate = frame[2] >> 4, frame[2] & 0x0F
    return {6: 1, 7: 2}.get(size, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)


def _coded(number: int) -> bytes:
    """Return a number coded as UTF-8 codes characters, but up to 36 bits."""
    if number < 0x80:
        return bytes([number])
    rest: list[int] = []
    # the first byte has a bit for each byte, and a zero
    while number >= 1 << (6 - len(rest)):
        rest.append(0x80 | number & 0x3F)
        number >>= 6
    mark = 0xFF << (7 - len(rest)) & 0xFF
    return bytes([mark | number, *reversed(rest)])


def _crc(data: bytes, bits: int) -> bytes:
    """Return the check sum of bytes."""
    table, mask, value = _TABLES[bits], (1 << bits) - 1, 0
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> (bits - 8) ^ byte]
    return value.to_bytes(bits // 8, "big")


def _table(generator: int, bits: int) -> list[int]:
    found = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (generator if value >> (bits - 1) & 1 else 0)
            value &= (1 << bits) - 1
        found.append(value)
    return found


_TABLES = {8: _table(_CRC8, 8), 16: _table(_CRC16, 16)}
