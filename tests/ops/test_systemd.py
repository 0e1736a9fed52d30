"""The units: systemd takes them without a word, and they give away little."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "ops" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
pytestmark = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


@pytest.fixture
def installed(tmp_path):
    """The units with a program that is there in place of the one that the installation brings."""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/mevflow/bin/mevflow", shutil.which("true")))
    return tmp_path


def analyze(*words):
    return subprocess.run([ANALYZE, *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", [*(path.name for path in UNITS), "mevflow.target"])
def test_systemd_takes_it(installed, name):
    done = analyze("verify", "--man=no", installed / name)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_it_is_hardened(path):
    done = analyze("security", "--offline=true", "--no-pager", path)
    level = re.search(r"exposure level for \S+ ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) < 4.0
