"""What users import: complete, sorted, light, documented."""

import doctest
import importlib
import importlib.metadata
import inspect
import pkgutil
import subprocess
import sys
import typing
from types import ModuleType

import pytest

import rxstream
from rxstream import authoring, sinks, testing
from rxstream import operators as ops

DRIVERS = [
    "cv2", "sounddevice", "soundfile", "can", "cantools", "scipy", "matplotlib", "pandas",
    "xarray", "typer", "rich", "serial", "hypothesis", "asyncua", "h5py", "paho", "psutil",
    "websockets", "httpx", "starlette", "uvicorn", "pylsl", "pyvisa",
]  # fmt: skip


def modules() -> list[str]:
    return [
        info.name
        for info in pkgutil.walk_packages(rxstream.__path__, "rxstream.")
        if info.name != "rxstream.__main__"
    ]


def test_import_is_light() -> None:
    code = (
        "import sys, rxstream, rxstream.operators, rxstream.sinks, rxstream.devices\n"
        "import rxstream.devices.audio, rxstream.devices.camera, rxstream.devices.can\n"
        "import rxstream.devices.simulated, rxstream.authoring\n"
        f"print([name for name in {DRIVERS!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module", [rxstream, authoring, ops, sinks, testing], ids=lambda m: m.__name__
)
def test_all_is_sorted_and_documented(module: ModuleType) -> None:
    names = list(module.__all__)
    assert names == sorted(names)
    for name in names:
        thing = getattr(module, name)
        # an alias of a type cannot have one
        assert typing.get_origin(thing) or inspect.getdoc(thing), (
            f"{module.__name__}.{name} has no docstring"
        )


def test_a_star_import_leaves_the_built_in_open() -> None:
    names: dict[str, object] = {}
    exec("from rxstream import *", names)
    assert "open" not in names
    assert callable(rxstream.open)


def test_the_version_is_that_of_the_package() -> None:
    assert rxstream.__version__ == importlib.metadata.version("rxstream")
    with pytest.raises(AttributeError, match="'rxstream' has no attribute 'nothing'"):
        _ = rxstream.nothing  # type: ignore[attr-defined]


def test_every_operator_is_exported_and_has_a_marble_and_an_example() -> None:
    files = {
        info.name.rpartition(".")[2]
        for info in pkgutil.walk_packages(ops.__path__, "rxstream.operators.")
        if not info.ispkg
    }
    operators = {name for name in ops.__all__ if not inspect.isclass(getattr(ops, name))}
    assert files >= operators  # the other files are parts of operators
    for name in operators:
        text = inspect.getdoc(getattr(ops, name)) or ""
        assert ".. marble::" in text, name
        assert ">>>" in text, name


def test_operators_cannot_be_imported_twice() -> None:
    code = "import sys; sys.path.insert(0, '.'); import operators"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=importlib.import_module("pathlib").Path(__file__).parent.parent,
    )  # fmt: skip
    assert result.returncode != 0
    assert "from rxstream import operators as ops" in result.stderr


@pytest.mark.parametrize("name", modules())
def test_doctests(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
