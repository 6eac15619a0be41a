"""Print the lowest version of every dependency that pyproject.toml allows, as pip pins them.

python scripts/lowest.py > lowest.txt
pip install -e . -r lowest.txt
"""

import re
import tomllib
from pathlib import Path

# a requirement of our own extras, e.g. rxstream[all], has no version to pin
LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?>=(?P<version>[\w.]+)(?P<marker>;.*)?")
# what only a developer installs is never part of what a user has
NOT_PINNED = {"dev", "all"}


def pins(pyproject: Path) -> list[str]:
    """Return ``name==version`` for each lower bound, each once, sorted."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        wanted += requirements if extra not in NOT_PINNED else ()
    found = [match for text in wanted if (match := LOWER_BOUND.match(text.replace(" ", "")))]
    lines = {f"{m['name']}=={m['version']}{m['marker'] or ''}" for m in found}
    # the headless build of OpenCV has the same modules as the other one
    return sorted(line for line in lines if not line.startswith("opencv-python-headless"))


if __name__ == "__main__":
    print(*pins(Path(__file__).parent.parent / "pyproject.toml"), sep="\n")
