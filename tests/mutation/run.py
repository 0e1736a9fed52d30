"""Change the code that decides money or truth, one operator at a time, and see which changes no test notices.

``make mutate`` runs all targets, ``make mutate FILES=operators/ids.py`` one. Works on a copy of the tree with
cosmic-ray. Ends with code 1 when a change survives that is not argued in ``ARGUED``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
#: What is changed -> the tests that must notice.
TARGETS = {
    "operators/ids.py": "tests/operators/test_ids.py",
    "operators/amounts.py": "tests/operators/test_amounts.py",
    "control/commands/ledger.py": "tests/control/commands/test_ledger.py",
    "operators/detect/book/journal.py": "tests/operators/detect/book/test_journal.py",
    "operators/sizing": "tests/operators/sizing",
}
#: Changes that make no difference: (file, line's text) -> why.
ARGUED = {
    ("operators/ids.py", "_INTEGER = ["): "a table of heads that are also computed: its length is speed alone",
    ("operators/ids.py", "head = _INTEGER[size]"): "either side of the choice gives the same bytes",
}
CONFIG = """\
[cosmic-ray]
module-path = "{file}"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider -W ignore {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def survivors(tree: Path, file: str, tests: str) -> tuple[int, list[tuple[int, str]]]:
    """(number of changes, (line, what was changed) of those that no test noticed)."""
    (tree / "mutation.toml").write_text(CONFIG.format(file=file, tests=tests, python=BIN / "python"))
    session = tree / "mutation.sqlite"
    session.unlink(missing_ok=True)
    for command in (["init", "mutation.toml", str(session)], ["exec", "mutation.toml", str(session)]):
        subprocess.run([str(BIN / "cosmic-ray"), *command], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    dump = subprocess.run([str(BIN / "cosmic-ray"), "dump", str(session)], cwd=tree, check=True, capture_output=True)
    count, left = 0, []
    for line in dump.stdout.splitlines():
        work, result = json.loads(line)
        count += 1
        if result is None or result["test_outcome"] != "killed":
            mutation = work["mutations"][0]
            left.append((mutation["start_pos"][0], mutation["operator_name"]))
    return count, left


def main(chosen: list[str]) -> int:
    """Run the chosen targets (all of them when none is named); the exit code."""
    unargued = 0
    with tempfile.TemporaryDirectory(prefix="mevflow-mutation-") as folder:
        ignored = shutil.ignore_patterns(".venv", "var", ".git", "*_cache", "build")
        tree = Path(shutil.copytree(ROOT, Path(folder) / "tree", symlinks=True, ignore=ignored))
        for file in chosen or TARGETS:
            text = (ROOT / file).read_text().splitlines() if (ROOT / file).is_file() else []
            count, left = survivors(tree, file, TARGETS[file])
            print(f"{file}: {count} changes, {count - len(left)} noticed")
            for line, operator in left:
                source = text[line - 1].strip() if text else ""
                why = next((why for (f, start), why in ARGUED.items() if f == file and source.startswith(start)), "")
                unargued += not why
                print(f"  {file}:{line}: {operator}: {source}{f'  ({why})' if why else ''}")
    return 1 if unargued else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
