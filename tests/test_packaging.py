"""The wheel, installed in an empty environment outside the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=ROOT)  # by the sdist
    return next(out.glob("*.whl"))


def test_the_wheel_has_every_module_once(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "rxstream").rglob("*.py")
        if "operators" not in path.parts
    }
    tree |= {"rxstream_cli.py"}
    tree |= {
        f"rxstream/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "operators").rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == tree
    assert "rxstream/operators/__init__.py" in names
    assert "rxstream/py.typed" in names
    assert not any(name.startswith("operators/") for name in names)


@pytest.mark.timeout(300)
def test_it_installs_and_imports_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    code = (
        "import rxstream, rxstream_cli, numpy as np\n"
        "from rxstream import operators as ops\n"
        "import rxstream.operators as o\n"
        "assert 'site-packages' in o.__file__, o.__file__\n"
        "info = rxstream.StreamInfo('ramp', rate=1000.0, dtype=np.int64)\n"
        "s = rxstream.TimeWindowSubject(5)\n"
        "s.on_next(rxstream.Chunk.regular(np.arange(100), info, start=0))\n"
        "s.on_completed()\n"
        "s.rewind(0.05).pipe(ops.rechunk(20)).subscribe(lambda c: print(len(c)))\n"
        "s.wait(10**10)\n"
    )
    assert run(python, "-c", code, cwd=tmp_path).split() == ["20", "20", "10"]
    missing = (
        "from rxstream.devices.audio import Audio\n"
        "try:\n    Audio().open(print, print)\n"
        "except ImportError as error:\n    print(error)\n"
    )
    assert "rxstream[audio]" in run(python, "-c", missing, cwd=tmp_path)
