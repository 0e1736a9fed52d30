"""Packages of npm that tests run: a node (anvil) and contracts' bytecode. Fetched once a user, never kept here.

Uniswap's contracts are GPL-2.0 or BUSL-1.1 turned GPL; anvil is MIT or Apache-2.0.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from mevflow.web.build import find_node

PACKAGES = (
    "@foundry-rs/anvil-linux-amd64@1.7.1",
    "@uniswap/v2-core@1.0.1",
    "@uniswap/v2-periphery@1.1.0-beta.0",
    "@uniswap/v3-core@1.0.1",
    "@uniswap/v3-periphery@1.4.4",
)


@cache
def modules() -> Path:
    """The folder ``node_modules``. Raises RuntimeError that says what is missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mevflow"
    there = base / f"npm-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}"
    if not there.is_dir():
        tools = find_node()
        fresh = there.with_name(f".{there.name}-{os.getpid()}")
        fresh.mkdir(parents=True)
        (fresh / "package.json").write_text('{"private": true}')
        command = [
            tools.node,
            str(tools.npm),
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            str(fresh),
            *PACKAGES,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise RuntimeError(f"npm could not fetch {', '.join(PACKAGES)}:\n{done.stderr[-1500:]}")
        try:
            fresh.rename(there)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
    return there / "node_modules"


def anvil() -> Path:
    """The node's program."""
    program = modules() / "@foundry-rs/anvil-linux-amd64/bin/anvil"
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def bytecode(name: str) -> bytes:
    """A contract's creation code, e.g. ``v2-core/UniswapV2Factory`` or ``v3-periphery/SwapRouter``."""
    package, contract = name.split("/")
    folder = modules() / "@uniswap" / package
    compiled = folder / "artifacts/contracts"
    places = (folder / "build", compiled / f"{contract}.sol", compiled / "lens" / f"{contract}.sol")
    path = next(place / f"{contract}.json" for place in places if (place / f"{contract}.json").exists())
    document: dict[str, Any] = json.loads(path.read_text())
    code = document["bytecode"]
    return bytes.fromhex((code["object"] if isinstance(code, dict) else code).removeprefix("0x"))
