"""Commands of the documentation in a running deployment: each line of a ``sh`` block, as it stands there.

Blocks of other languages are examples, or need what is not here; ``tests/docs`` checks that what they name exists.
"""

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.docs.blocks import blocks
from tests.plugins.deployment import ROOT

#: What stands for something in the pages.
_NAMES = {"NAME": "detect-live"}
#: These change what others see: they come last, one by one, in this order.
_CHANGE = ("mevflow clean", "mevflow kill", "mevflow release")
_PROGRAMS = ("mevflow", "promtool", "df")


def lines():
    """Command -> where it stands first."""
    found = {}
    for block in blocks():
        if block.language != "sh" or block.why_not:
            continue
        for line in block.text.splitlines():
            command = line.split("   #")[0].split("  # ")[0].strip()
            if command:
                found.setdefault(command, block.where)
    return found


@pytest.fixture(scope="module")
def shell(live, tmp_path_factory):
    """Runs a line with ``mevflow`` on the path; gives (exit code, output)."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "mevflow").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mevflow.cli "$@"\n')
    (folder / "mevflow").chmod(0o755)
    (ROOT / "var").mkdir(exist_ok=True)  # `df -h var`
    environment = {**live.environment, "PATH": f"{folder}:{live.environment['PATH']}"}

    def run(command):
        for name, meant in _NAMES.items():
            command = command.replace(name, meant)
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_every_line_works_in_a_running_deployment(shell):
    found = lines()
    assert len(found) > 20
    assert {command.split()[0] for command in found} <= set(_PROGRAMS)
    quiet = [command for command in found if not command.startswith(_CHANGE)]
    loud = sorted((command for command in found if command.startswith(_CHANGE)), key=lambda c: c.split()[1])
    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(quiet, pool.map(shell, quiet), strict=True))
    done |= {command: shell(command) for command in loud}
    wrong = [f"{found[command]}: {command}: {code}: {said[-400:]}" for command, (code, said) in done.items() if code]
    assert wrong == []


def test_what_was_switched_off_comes_back(shell):
    code, said = shell('mevflow release --topology NAME --reason "prices are right again"')
    assert code == 0, said
