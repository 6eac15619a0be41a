"""Values of controllers, cut out of blocks as they were put in."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.devices.plc import Block, DataType, Layout, Place, RefusedError, ask, cells_of
from rxstream.errors import DeviceNotFoundError

FORMATS = {"INT": "h", "UDINT": "I", "REAL": "f", "LREAL": "d", "ULINT": "Q"}


def parse(text: str) -> Place:
    """Make a place of ``"area start type"``."""
    area, start, name = text.split()
    kind = DataType(name)
    return Place(area, int(start), kind.size, kind)


items = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 300), st.sampled_from(sorted(FORMATS))),
    min_size=1, max_size=12,
)  # fmt: skip


@given(items, st.integers(0, 20), st.integers(8, 64), st.binary(min_size=400, max_size=400))
def test_blocks_have_every_value(
    wanted: list[tuple[str, int, str]], gap: int, most: int, memory: bytes
) -> None:
    pairs = tuple(
        (f"x{k}", f"{area} {start} {name}") for k, (area, start, name) in enumerate(wanted)
    )
    layout = Layout(pairs, parse)
    blocks = layout.blocks(gap=gap, most=most)

    def cut(place: Place) -> bytes:
        block = cells_of(blocks, place)
        return memory[block.start :][: block.size][place.start - block.start :][: place.size]

    (sample,) = layout.sample(cut)
    for (name, _), (_, start, kind) in zip(pairs, wanted, strict=True):
        (value,) = struct.unpack_from(f">{FORMATS[kind]}", memory, start)
        np.testing.assert_equal(sample[name].item(), value)
    assert all(block.size <= most for block in blocks)
    # what is read in vain is no more than was allowed
    for block in blocks:
        used = np.zeros(block.size, bool)
        for area, start, kind in wanted:
            if area == block.area and 0 <= start - block.start < block.size:
                used[start - block.start :][: DataType(kind).size] = True
        assert longest_run(~used) <= gap


def longest_run(flags: Any) -> int:
    runs = "".join("1" if flag else " " for flag in flags).split()
    return max(map(len, runs), default=0)


def test_neighbours_are_one_block() -> None:
    layout = Layout(
        (("x", "A 4 REAL"), ("y", "A 0 REAL"), ("z", "A 9 INT"), ("u", "B 8 INT")), parse
    )
    assert layout.blocks(gap=0, most=50) == [
        Block("A", 0, 8), Block("A", 9, 2), Block("B", 8, 2),
    ]  # fmt: skip
    assert layout.blocks(gap=1, most=50) == [Block("A", 0, 11), Block("B", 8, 2)]
    assert layout.of(Block("A", 0, 8)) == "A 4 REAL, A 0 REAL"


def answers(*given: object) -> Callable[[], Any]:
    """Return a function that gives one after the other, and raises those that are texts."""
    rest = iter(given)

    def read() -> Any:
        answer = next(rest)
        if isinstance(answer, str):
            raise RefusedError(answer)
        return np.array([answer])

    return read


def test_each_reason_is_reported_once_until_it_answers() -> None:
    faults: list[str] = []
    read = answers(0, 1, "busy", "busy", "off", 2, "busy", 3)
    asked = ask("slave", read, lambda error: faults.append(str(error)))
    readings = [next(asked) for _ in range(8)]
    assert [None if r is None else (r.data[0], r.lost) for r in readings] == [
        None, (1, None), None, None, None, (2, 3), None, (3, 1),
    ]  # fmt: skip
    assert [fault.partition(";")[0] for fault in faults] == [
        "slave: busy", "slave: off", "slave: busy",
    ]  # fmt: skip


def test_what_is_refused_at_the_opening_is_an_error() -> None:
    with pytest.raises(DeviceNotFoundError, match="slave: no such address; see the addresses"):
        next(ask("slave", answers("no such address"), lambda _: None))
