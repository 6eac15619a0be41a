"""Devices for what cannot be tried here: they load, describe themselves, and miss their drivers.

None of the drivers is installed here, and most want hardware; what was tried by hand is said on the
page. The package is tried by its own tests, on a mock of NI's package.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rxstream import Device
from rxstream.errors import MissingExtraError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "examples" / "rxstream-nidaq"
BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (ROOT / "docs" / "devices" / "third-party.md").read_text(encoding="utf-8"), re.DOTALL,
)  # fmt: skip
MOST_LINES = 20
# Options, what to install, and the module that it brings.
DEVICES: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "LabJack": ((("AIN0", "AIN1"),), "labjack-ljm", "labjack"),
    "HeartRate": (("00:11:22:33:44:55",), "bleak", "bleak"),
    "EtherNetIp": (("127.0.0.1", ("TEMP",)), "pylogix", "pylogix"),
    "Basler": ((), "pypylon", "pypylon"),
    "GenICam": (("producer.cti",), "harvesters", "harvesters"),
}


def function_of(block: str) -> Any:
    """Return the function of a block, which has exactly one."""
    (found,) = (node for node in ast.parse(block).body if hasattr(node, "decorator_list"))
    return found


@pytest.fixture
def page() -> Iterator[ModuleType]:
    module = ModuleType("third_party")
    sys.modules[module.__name__] = module
    for block in BLOCKS:
        exec(block, module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_these_are_all() -> None:
    assert [function_of(block).name for block in BLOCKS] == list(DEVICES)


@pytest.mark.parametrize("block", BLOCKS, ids=DEVICES)
def test_its_function_has_twenty_lines_at_most(block: str) -> None:
    text = ast.get_source_segment(block, function_of(block)) or ""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES, f"{len(lines)} lines"


@pytest.mark.parametrize("name", DEVICES)
def test_it_describes_itself_and_misses_its_driver(page: ModuleType, name: str) -> None:
    options, package, module = DEVICES[name]
    source = getattr(page, name)(*options)
    assert source.info.name == name.lower()
    assert hash(source) == hash(getattr(page, name)(*options))
    if find_spec(module) is not None:
        pytest.skip(f"{package} is installed: check it by check_source")
    with pytest.raises(MissingExtraError, match=f"pip install '{package}'"):
        Device(source).open()


# as long as mypy has no cache
@pytest.mark.timeout(300)
def test_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for name, block in zip(DEVICES, BLOCKS, strict=True):
        (tmp_path / f"of_{name.lower()}.py").write_text(block)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *sorted(tmp_path.glob("*.py")), PACKAGE / "rxstream_nidaq"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_package_passes_its_own_tests(tmp_path: Path) -> None:
    """Installed, so that it is found by its name."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", tmp_path, PACKAGE], check=True)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", PACKAGE,
         PACKAGE],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=PACKAGE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout
