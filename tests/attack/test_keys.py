"""Campaign: random bytes are keys, whatever they are and wherever they are cut.

The bytes are noise, or built by a grammar of what terminals send and of what comes near it.
"""

import random
import re
import sys
from collections.abc import Callable

import pytest
from campaign import first_seed, trials
from fakes import eventually

from rxstream import Device
from rxstream.devices.keyboard import KEY_DTYPE, Keyboard
from rxstream.devices.keyboard.decode import Decoder

SEQUENCES, PTY_SEQUENCES = 1_000_000, 3000
LONGEST = KEY_DTYPE["key"].itemsize // 4
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_FINALS = [bytes([code]) for code in range(0x40, 0x7F)]


def number(rng: random.Random) -> bytes:
    length = 1 if rng.random() < 0.8 else rng.choice([2, 3, 4, 27, 28, 29, 30, 31, 200])
    return b"%d" % rng.randrange(10**length)


def control(rng: random.Random) -> bytes:
    parameters = b";".join(number(rng) for _ in range(rng.randrange(4)))
    marks = b"".join(rng.choices([b"?", b"<", b"=", b" ", b"#", b"[", b":"], k=rng.randrange(2)))
    return rng.choice([b"\x1b[", b"\x1b[", b"\xc2\x9b", b"\x1b[["]) + marks + parameters


def _unicode(rng: random.Random) -> bytes:
    return chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])).encode()


PARTS: list[Callable[[random.Random], bytes]] = [
    lambda rng: control(rng) + rng.choice(_FINALS),
    lambda rng: control(rng) + rng.choice(_FINALS),
    # unfinished
    control,
    lambda rng: b"\x1bO" + rng.choice([b"", b"5", b"12"]) + rng.choice(_FINALS),
    lambda rng: b"\x1b" * rng.randrange(1, 4),
    # strings of a terminal
    lambda rng: rng.choice([b"\x1b]", b"\x1bP", b"\x1b_", b"\x1bX"]) + b"0;x\x1b\\",
    lambda rng: bytes([rng.randrange(128)]),
    lambda rng: bytes([rng.randrange(128)]),
    _unicode,
    lambda rng: _unicode(rng)[:-1],
    lambda rng: rng.randbytes(rng.randrange(1, 9)),
]


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """Return the bytes cut at any places."""
    if rng.random() < 0.1:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 4)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def decoded(parts: list[bytes]) -> list[str]:
    decoder = Decoder()
    keys = [key for part in parts for key in decoder.feed(part)]
    return keys + decoder.flush()


@pytest.mark.parametrize("share", range(10))
def test_any_bytes_are_keys_and_no_cut_shows(share: int) -> None:
    rng = random.Random(first_seed() * 10 + share)
    for _ in range(trials(SEQUENCES) // 10):
        chosen = rng.choices(PARTS, k=rng.randrange(1, 4))
        data = b"".join(part(rng) for part in chosen)
        keys = decoded([data])
        assert decoded(pieces(rng, data)) == keys, data
        assert all(0 < len(key) <= LONGEST for key in keys), data
        assert not any(map(_CONTROL.search, keys)), data


@pytest.mark.parametrize("share", range(10))
def test_no_key_between_others_is_lost(share: int) -> None:
    """A key that stands by itself is found, whatever came before and comes after it."""
    rng = random.Random(first_seed() * 10 + share)
    for _ in range(trials(SEQUENCES) // 50):
        first, last = (b"".join(p(rng) for p in rng.choices(PARTS, k=2)) for _ in range(2))
        data = first + b"\xe2\x82\xac" + last
        keys = decoded(pieces(rng, data))
        # an Esc right before it makes it alt+€, and half a character before it none of its own
        assert sum(key in ("€", "alt+€") for key in keys) >= 1, data


def test_characters_come_as_they_were_typed() -> None:
    rng = random.Random(first_seed())
    for _ in range(trials(SEQUENCES) // 100):
        typed = "".join(chr(rng.randrange(0x21, 0x7F)) for _ in range(rng.randrange(1, 200)))
        assert "".join(decoded(pieces(rng, typed.encode()))) == typed


@pytest.mark.real
@pytest.mark.skipif(sys.platform == "win32", reason="there are no ptys")
def test_a_keyboard_survives_them_all() -> None:
    from ptys import pty_line

    rng = random.Random(first_seed())
    errors: list[Exception] = []
    seen: list[str] = []
    with pty_line() as line, Device(Keyboard(line.path, signals=False, heartbeat=0.02)) as device:
        device.subscribe(lambda chunk: seen.extend(chunk.data["key"].tolist()), errors.append)
        for count in range(trials(PTY_SEQUENCES)):
            data = b"".join(part(rng) for part in rng.choices(PARTS, k=rng.randrange(1, 4)))
            for piece in pieces(rng, data):
                line.write(piece)
            # ends what has begun, so that the mark is a key of its own
            mark = chr(0x4E00 + count % 2000)
            line.write(b"\x18" + mark.encode())
            assert eventually(lambda mark=mark: bool(seen) and seen[-1].endswith(mark)), (
                data,
                errors,
            )
        assert not errors
        assert device.state == "open"
