"""docs/architecture.md: the files and methods that it names exist."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import rxstream

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# where a path in the tables may begin
ROOMS = (ROOT, ROOT / "rxstream", ROOT / "rxstream" / "acquisition", ROOT / "docs")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def paths() -> list[str]:
    rows = re.findall(r"^\|[^|]+\|(.+)\|$", section("Which file for which change?"), re.MULTILINE)
    found = [path for row in rows for path in re.findall(r"`([a-z_]+/?[a-z_/.]*)`", row)]
    return sorted({path for path in found if "/" in path or path.endswith(".py")})


def methods() -> list[str]:
    return re.findall(r"\b[A-Z]\w+\.[a-z_]+\b", section("The walk of a chunk").split("```")[1])


def test_they_are_found() -> None:
    assert len(paths()) > 25
    assert len(methods()) > 8


@pytest.mark.parametrize("path", paths())
def test_files_of_the_table_exist(path: str) -> None:
    assert any((room / path).exists() for room in ROOMS), f"{path} is nowhere in the tree"


@pytest.mark.parametrize("name", methods())
def test_methods_of_the_walk_exist(name: str) -> None:
    kind, method = name.split(".")
    rooms = ("acquisition", "data", "steps", "window")
    modules = [
        importlib.import_module(f"rxstream.{room}.{found.name}")
        for room in rooms
        for found in pkgutil.iter_modules([str(Path(rxstream.__path__[0]) / room)])
    ]
    owners = {getattr(module, kind) for module in modules if hasattr(module, kind)}
    assert any(hasattr(owner, method) for owner in owners), f"there is no {name}"
