"""``make peers SUITE=DIR``: clickhouse-connect's own integration tests against the embedded ClickHouse.

``DIR`` is a checkout of that project. Its tests and the client of the same commit go into an environment of their own
under ``build/peers``; the server is one of this run, with its files in a temporary folder. Exits with 1 when a test
fails whose failure nothing in :mod:`tests.peers.reasons` explains. Writes docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from mevflow.clickhouse import daemon
from mevflow.processes.addresses import free_port
from tests.peers.reasons import reason_of
from tests.reliability import keep

BUILD = Path(__file__).resolve().parents[2] / "build" / "peers"
#: Of servers and proxies that the embedded one does not claim to be.
LEFT_OUT = ("test_tls.py", "test_proxy.py", "test_jwt_auth.py")
NEEDS = (
    "pytest", "pytest-asyncio", "pytest-mock", "pytest-timeout", "aiohttp", "sqlalchemy>=2,<3", "alembic", "pyarrow",
    "pandas", "polars", "numpy", "lz4", "zstandard", "backports.zstd", "orjson",
)  # fmt: skip


def main() -> int:
    """Build, run, judge, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("suite", type=Path, help="a checkout of clickhouse-connect")
    parser.add_argument("--only", default="", help="a test expression, as pytest's -k; nothing is kept then")
    chosen = parser.parse_args()
    if not (chosen.suite / "tests" / "integration_tests").is_dir():
        parser.error(f"{chosen.suite} has no tests/integration_tests: give a checkout of clickhouse-connect")
    python, suite = _environment(chosen.suite)
    with tempfile.TemporaryDirectory(prefix="mevflow-peers-") as folder:
        found = _run(python, suite, Path(folder), chosen.only)
    counts = Counter(outcome for outcome, _, _ in found)
    failures = [(test, said, reason_of(test, said)) for outcome, test, said in found if outcome == "failed"]
    reasons = Counter(why for _, _, why in failures if why)
    unexplained = [(test, said) for test, said, why in failures if not why]
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    for why, count in reasons.most_common():
        print(f"{count:5}  {why}")
    for test, said in unexplained:
        print(f"unexplained: {test}: {said[:300]}")
    if not chosen.only:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=chosen.suite, capture_output=True, text=True
        )
        keep(
            "peers",
            {
                "suite": commit.stdout.strip(),
                "counts": dict(counts),
                "reasons": dict(reasons.most_common()),
                "unexplained": [test for test, _ in unexplained],
            },
        )
    return 1 if unexplained or not found else 0


def _environment(checkout: Path) -> tuple[Path, Path]:
    """The interpreter that has the client, and a folder with its tests alone: the checkout itself has no parts in C."""
    python, suite = BUILD / "venv" / "bin" / "python", BUILD / "suite"
    venv.create(BUILD / "venv", with_pip=True)
    print("installing the client and what its tests want", flush=True)
    words = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", checkout.absolute(), *NEEDS]
    subprocess.run(words, check=True)
    shutil.rmtree(suite, ignore_errors=True)
    shutil.copytree(checkout / "tests", suite / "tests")
    shutil.copy(checkout / "pyproject.toml", suite)
    return python, suite


def _run(python: Path, suite: Path, var: Path, only: str) -> list[tuple[str, str, str]]:
    """(passed, failed or skipped; the test's name; what its failure said) of each."""
    port, report = free_port(), var / "report.xml"
    daemon.start(var, "127.0.0.1", port, "")
    try:
        words = [
            python,
            "-m",
            "pytest",
            "tests/integration_tests",
            "-q",
            "-o",
            "addopts=",
            "--tb=line",
            "--timeout=300",
        ]
        words += [f"--ignore=tests/integration_tests/{name}" for name in LEFT_OUT]
        words += [f"--junitxml={report}", *(["-k", only] if only else [])]
        address = {"CLICKHOUSE_CONNECT_TEST_HOST": "127.0.0.1", "CLICKHOUSE_CONNECT_TEST_PORT": str(port)}
        subprocess.run(words, cwd=suite, env={**os.environ, **address}, check=False)
    finally:
        daemon.stop(var)
    return [_outcome(case) for case in ElementTree.parse(report).getroot().iter("testcase")]


def _outcome(case: ElementTree.Element) -> tuple[str, str, str]:
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            return "failed", case.get("name", ""), f"{found.get('message', '')} {found.text or ''}"
    return "passed" if case.find("skipped") is None else "skipped", case.get("name", ""), ""


if __name__ == "__main__":
    sys.exit(main())
