"""Every line of code in docs/from-stream2py.md runs, in its order."""

import re
from pathlib import Path
from typing import Any

import pytest

from rxstream import Device

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "from-stream2py.md"
HEAD = {"stream2py", "you want", "---"}


def rows() -> list[tuple[str, list[str]]]:
    """Return the words of stream2py in each row of the page, and the lines of code beside them."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            theirs, ours = (cell.strip() for cell in line.strip("|").split("|"))
            if theirs not in HEAD:
                found.append((theirs, re.findall(r"`([^`]+)`", ours)))
    return found


def test_every_row_has_a_line_that_runs() -> None:
    (setup,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(setup, PAGE.name, "exec"), names)
    ran = 0
    try:
        for theirs, lines in rows():
            assert lines, f"{theirs} has no code"
            for line in lines:
                if line == "with device:":
                    continue
                ran += 1
                try:
                    exec(compile(line, theirs, "exec"), names)
                except Exception as error:
                    pytest.fail(f"{theirs}: {line}: {error!r}")
    finally:
        for thing in names.values():
            if isinstance(thing, Device):
                thing.close()
    assert ran >= 50
