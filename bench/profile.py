"""Where a bench's time goes: py-spy looks at every process of it, and writes a speedscope file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from mevflow.operators.errors import MevflowError

RATE_HZ = 100


def record(name: str, target: Path) -> None:
    """Run the bench ``name`` under py-spy, its shards and peers too; what it prints goes to standard output.

    Native code (kernels, Arrow, librdkafka) counts for the Python line that called it. Raises MevflowError when py-spy
    is not installed, may not look at processes here, or the bench fails.
    """
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise MevflowError("profiles are made by py-spy, which is not installed", hint="pip install py-spy")
    target.parent.mkdir(parents=True, exist_ok=True)
    bench = [sys.executable, "-m", "mevflow.cli", "bench", name]
    command = [
        spy,
        "record",
        "--subprocesses",
        "--rate",
        str(RATE_HZ),
        "--format",
        "speedscope",
        "--output",
        str(target),
    ]
    done = subprocess.run([*command, "--", *bench], check=False)
    if done.returncode or not target.exists():
        raise MevflowError(
            f"py-spy ended with code {done.returncode}",
            hint="it must be free to trace its children: ptrace_scope at most 1, CAP_SYS_PTRACE in a container",
            file=str(target),
        )
