"""Prepare a release: the changelog dated, the version set, the messages taken as released, a commit, a tag, the files.

``make release VERSION=0.2.0`` only shows it; ``DO=1`` does it. Nothing is uploaded.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def dated(changelog: str, version: str, day: str) -> str:
    """The changelog with what is unreleased under ``version``. Raises SystemExit when there is nothing."""
    before, mark, after = changelog.partition("## Unreleased\n")
    entries = after.split("\n## ", 1)[0].strip()
    if not mark or not entries:
        raise SystemExit("CHANGELOG.md has nothing under Unreleased")
    return f"{before}{mark}\n## {version} ({day})\n{after}"


def notes(changelog: str) -> str:
    """What is unreleased."""
    return changelog.partition("## Unreleased\n")[2].split("\n## ", 1)[0].strip()


def versioned(pyproject: str, version: str) -> str:
    """pyproject.toml with its version set. Raises SystemExit unless ``version`` is a later one, as x.y.z."""
    found = re.search(r'^version = "(.+)"$', pyproject, re.MULTILINE)
    if not _VERSION.fullmatch(version) or found is None or _parts(version) <= _parts(found[1]):
        raise SystemExit(f"VERSION must be x.y.z and later than {found[1] if found else '?'}, not {version!r}")
    return pyproject.replace(found[0], f'version = "{version}"', 1)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def main(arguments: list[str]) -> None:
    """Show the release, or make it."""
    do = "--do" in arguments
    version = next((word for word in arguments if word != "--do"), "")
    changelog, pyproject = ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"
    text, settings = changelog.read_text(), versioned(pyproject.read_text(), version)
    renewed = dated(text, version, datetime.now(UTC).date().isoformat())
    print(f"mevflow {version}\n\n{notes(text)}\n")
    if not do:
        print("nothing was written; DO=1 writes, commits, tags and builds it")
        return
    if _git("status", "--porcelain"):
        raise SystemExit("the tree has changes that are not committed")
    changelog.write_text(renewed)
    pyproject.write_text(settings)
    subprocess.run([sys.executable, "-m", "tests.proto.breaking", "--write"], cwd=ROOT, check=True)
    _git("commit", "--all", "--message", f"Release {version}")
    _git("tag", "--annotate", f"v{version}", "--message", f"mevflow {version}\n\n{notes(text)}")
    uv = str(ROOT / ".venv" / "bin" / "uv")
    subprocess.run([uv, "build", "--no-build-isolation", "--python", sys.executable], cwd=ROOT, check=True)
    print(f"committed and tagged v{version}; wheel and sdist are in dist/")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
