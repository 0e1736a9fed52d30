"""Change the code that decides money or truth, one operator at a time, and see which changes no test notices.

``make mutate`` runs all targets, ``make mutate FILES=operators/ids.py`` one; ``FILES="--sample 100 operators/sizing"``
tries that many changes, picked by ``--seed``. Works on a copy of the tree with cosmic-ray. Annotations are left alone:
nothing reads them at run time. Ends with code 1 when a change survives that is not argued in ``ARGUED``.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
#: What is changed -> the tests that must notice.
TARGETS = {
    "operators/ids.py": "tests/operators/test_ids.py",
    "operators/amounts.py": "tests/operators/test_amounts.py",
    "control/commands/ledger.py": "tests/control/commands/test_ledger.py",
    "operators/detect/book/journal.py": "tests/operators/detect/book/test_journal.py",
    "operators/sizing": "tests/operators/sizing tests/cli/test_size.py",
}
#: Changes that make no difference: (file, line's text) -> why.
ARGUED = {
    ("operators/ids.py", "_INTEGER = ["): "a table of heads that are also computed: its length is speed alone",
    ("operators/ids.py", "head = _INTEGER[size]"): "either side of the choice gives the same bytes",
    **dict.fromkeys(
        [
            *(("control/commands/ledger.py", name) for name in ("_KEPT =", "_ORPHANS =", "_HISTORY =", "_CALLS =")),
            *(
                ("operators/detect/book/journal.py", line)
                for line in ("_MANY =", "NOTE_DTYPE =", "self.notes", "if self.depth and self.noted", "self._tidy_at =")
            ),
        ],
        "how much is kept is a choice; that it is bounded is proved with small bounds",
    ),
    **dict.fromkeys(
        [
            ("control/commands/ledger.py", "@dataclass"),
            ("control/commands/ledger.py", "if not entry.open and self.held(entry.key).current is not entry:"),
            ("control/commands/ledger.py", "elif entry is not held.current and entry.won is None:"),
            ("control/commands/ledger.py", "entry.superseded = self.held(entry.key).current is not entry"),
        ],
        "slots and frozen are hygiene; entries are equal to themselves alone",
    ),
    **dict.fromkeys(
        [
            ("operators/detect/book/journal.py", 'if note["before"]["kind"]'),
            ("operators/detect/book/journal.py", "if info.first == number"),
        ],
        "what is noted of a face's curve is never read; small integers are one object each",
    ),
    ("operators/detect/book/journal.py", "note = self.room(1)"): "room for two does as well",
    ("operators/detect/book/journal.py", "lower: int"): "both ends are told wherever a range is",
    ("operators/detect/book/journal.py", "upper: int"): "both ends are told wherever a range is",
    ("operators/detect/book/journal.py", "if key[0] > floor"): "a curve is noted with its row, so its chain has notes",
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


def _annotations(file: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Begin and end (line, column) of every annotation."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        for at in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if at is not None:
                found.append(((at.lineno, at.col_offset), (at.end_lineno or 0, at.end_col_offset or 0)))
    return found


def _leave_out(session: WorkDB, tree: Path, sample: int | None, seed: int) -> None:
    """Take out of a session what changes annotations, and what is not of the sample."""
    annotations: dict[Path, list[tuple[tuple[int, int], tuple[int, int]]]] = {}
    left: list[WorkItem] = []
    out: list[WorkItem] = []
    for item in session.pending_work_items:
        change = item.mutations[0]
        file = tree / change.module_path
        if file not in annotations:
            annotations[file] = _annotations(file)
        typed = any(begin <= change.start_pos < end for begin, end in annotations[file])
        (out if typed else left).append(item)
    if sample is not None:
        random.Random(seed).shuffle(left)
        out += left[sample:]
    for item in out:
        session.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))


def survivors(
    tree: Path, file: str, tests: str, sample: int | None, seed: int
) -> tuple[int, list[tuple[str, int, str]]]:
    """(number of changes, (file, line, what was changed) of those that no test noticed)."""
    (tree / "mutation.toml").write_text(CONFIG.format(file=file, tests=tests, python=BIN / "python"))
    session = tree / "mutation.sqlite"
    session.unlink(missing_ok=True)
    ray = [str(BIN / "cosmic-ray")]
    subprocess.run([*ray, "init", "mutation.toml", str(session)], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    with use_db(session) as database:
        _leave_out(database, tree, sample, seed)
    subprocess.run([*ray, "exec", "mutation.toml", str(session)], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    dump = subprocess.run([*ray, "dump", str(session)], cwd=tree, check=True, capture_output=True)
    count, left = 0, []
    for line in dump.stdout.splitlines():
        work, result = json.loads(line)
        if result is not None and result["worker_outcome"] == WorkerOutcome.SKIPPED.value:
            continue
        count += 1
        if result is None or result["test_outcome"] != "killed":
            mutation = work["mutations"][0]
            left.append((mutation["module_path"], mutation["start_pos"][0], mutation["operator_name"]))
    return count, left


def main(words: list[str]) -> int:
    """Run the chosen targets (all of them when none is named); the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all of them when none is named")
    parser.add_argument("--sample", type=int, help="try so many changes of each target")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    asked = parser.parse_args(words)
    if unknown := [target for target in asked.targets if target not in TARGETS]:
        parser.error(f"no target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    unargued = 0
    with tempfile.TemporaryDirectory(prefix="mevflow-mutation-") as folder:
        ignored = shutil.ignore_patterns(".venv", "var", ".git", "node_modules", "*_cache", "build")
        tree = Path(shutil.copytree(ROOT, Path(folder) / "tree", symlinks=True, ignore=ignored))
        for target in asked.targets or TARGETS:
            count, left = survivors(tree, target, TARGETS[target], asked.sample, asked.seed)
            print(f"{target}: {count} changes, {count - len(left)} noticed", flush=True)
            for file, line, operator in left:
                source = (ROOT / file).read_text().splitlines()[line - 1].strip()
                why = next((why for (f, start), why in ARGUED.items() if f == file and source.startswith(start)), "")
                unargued += not why
                print(f"  {file}:{line}: {operator}: {source}{f'  ({why})' if why else ''}", flush=True)
    return 1 if unargued else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
