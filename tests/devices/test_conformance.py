"""Every built-in device is tried by the rules of sources, and described; so is a new one."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from rxstream import devices

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "devices"
REGISTERED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "entry-points"
]["rxstream.devices"]
# Pages by other names than those of what they describe.
ELSEWHERE = {"Iterable": "values", "Function": "values", "from_stream2py": "stream2py"}


def snake(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower()


OURS: dict[str, str] = {name: value.partition(":")[2] for name, value in REGISTERED.items()}
OURS |= {
    snake(word): word for word in devices.__all__ if word not in {"DeviceInfo", *OURS.values()}
}
"""The class of each device, or what makes one, by its name."""

# Opens what it is given, where no package can be loaded but those that rxstream itself needs.
WITHOUT_DRIVERS = """
import importlib.util, json, sys
allowed = sys.stdlib_module_names | {"rxstream", "numpy", "reactivex", "typing_extensions"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import rxstream.devices
sys.meta_path.insert(0, Refuse())
said = {}
for name, code in json.loads(sys.argv[1]).items():
    scope = {}
    *before, call = code
    exec("\\n".join(before), scope)
    try:
        eval(call, scope).open(lambda reading: None, lambda error: None)
        said[name] = "it opened"
    except Exception as error:
        said[name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


def page(name: str) -> str:
    stems = ELSEWHERE.get(OURS[name], name), name, OURS[name].lower(), snake(OURS[name])
    paths = [PAGES / f"{stem}.md" for stem in stems]
    path = next((path for path in paths if path.exists()), None)
    assert path is not None, f"{name}: write docs/devices/{name}.md, like the others"
    return path.read_text(encoding="utf-8")


NOT_TRIED = {
    # these are of the program itself: nothing can be absent, or pulled out
    "Function": {"absent", "unplug", "plug"},
    "Iterable": {"absent", "unplug", "plug"},
    "Playback": {"absent", "unplug", "plug"},
    "Simulated": {"absent"},
    # it is the server
    "Ingest": {"unplug", "plug"},
    # whatever its reader makes of it
    "from_stream2py": {"absent"},
}
"""What `check_source` is not given for a device, and why."""


def names(node: ast.AST) -> set[str]:
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


@cache
def checked() -> dict[str, set[str]]:
    """Return what `check_source` is given in functions that mention a name, by that name."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and "check_source" in (mentioned := names(node)):
                given = {
                    str(keyword.arg)
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and "check_source" in names(call.func)
                    for keyword in call.keywords
                }
                for name in mentioned:
                    found.setdefault(name, set()).update(given)
    return found


@pytest.mark.parametrize("name", OURS)
def test_it_is_tried_by_the_rules(name: str) -> None:
    assert OURS[name] in checked(), (
        f"{name}: write a test that calls check_source with a {OURS[name]}, against the real thing"
    )
    wanted = {"absent", "unplug", "plug"} - NOT_TRIED.get(OURS[name], set())
    missing = ", ".join(sorted(wanted - checked()[OURS[name]]))
    assert not missing, f"{name}: give check_source {missing}, or say in NOT_TRIED why not"


@pytest.mark.parametrize("name", OURS)
def test_it_has_a_page(name: str) -> None:
    text = page(name)
    assert text.startswith("# ")
    for what in ("```python", "time means", "ested on"):
        assert what in text, f"{name}: its page says nothing of {what!r}"


@pytest.mark.parametrize("table", ["README.md", "docs/devices/README.md"])
@pytest.mark.parametrize("name", OURS)
def test_it_is_in_the_tables(name: str, table: str) -> None:
    text = (ROOT / table).read_text(encoding="utf-8")
    line = re.search(rf"^\|.*`{OURS[name]}\b", text, re.MULTILINE)
    assert line, f"{OURS[name]} has no line in the table of {table}"


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    missing = [link for link in links if not (PAGES / link).exists()]
    assert not missing, f"{path.name} links to {missing}"


def shown(name: str) -> list[str]:
    """Return what a page does before the first call of the device on it, and that call."""
    for block in re.findall(r"```python\n(.*?)```", page(name), re.DOTALL):
        before: list[str] = []
        for statement in ast.parse(block).body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and OURS[name] in names(node.func):
                    return [*before, ast.unparse(node)]
            if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign):
                before.append(ast.unparse(statement))
    pytest.fail(f"{name}: its page shows no {OURS[name]}(...)")


@pytest.mark.slow
def test_a_driver_that_is_not_installed_is_named_with_its_extra() -> None:
    """What each page shows, without what it says is to be installed."""
    extras = {name: re.search(r"pip install 'rxstream\[(\w+)", page(name)) for name in OURS}
    codes = {name: shown(name) for name, extra in extras.items() if extra}
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVERS, json.dumps(codes)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for name, said in json.loads(result.stdout).items():
        extra = extras[name]
        assert extra is not None
        assert said.startswith("MissingExtraError: "), f"{name}: {said}"
        assert f"rxstream[{extra[1]}]" in said, f"{name}: {said}"


@pytest.mark.real
def test_the_page_of_simulated_devices_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", page("simulated"), re.DOTALL)
    exec(block, {})
    said = capsys.readouterr().out
    assert float(said.split()[0]) == pytest.approx(1.0, abs=0.1)
    assert said.endswith(" ns off the truth\n")
