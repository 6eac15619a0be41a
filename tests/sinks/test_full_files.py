"""A file that may not grow any more ends its sink with path and cause, and has what was counted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import write_until_full
from written_files import CASES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files"),
]

# each of the rotated files stays below the limit
ONE_FILE = [name for name in CASES if not name.startswith("rotated")]


@pytest.mark.parametrize("name", ONE_FILE)
def test_a_file_that_may_not_grow(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a{CASES[name].suffix}"
    command = [sys.executable, write_until_full.__file__, name, path, "60000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    found = json.loads(done.stdout)
    assert found["error"].startswith(f"{path}")
    # SQLite does not say more
    cause = "Input/output error" if name == "sqlite" else "File too large; write several files"
    assert f"cannot be written: {cause}" in found["error"]
    assert (found["closed"], found["open"]) == (True, 0)
    assert 0 < found["samples"] <= found["sent"]
    assert CASES[name].read(path) == found["samples"]
