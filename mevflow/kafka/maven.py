"""What Maven fetches or builds once for a user: ``$XDG_CACHE_HOME/mevflow/<name>-<hash of what it is made from>``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from mevflow.operators.errors import MevflowError

_PATIENCE_S = 900

Say = Callable[[str], None]


def made_once(name: str, sources: Sequence[Path], goals: Callable[[Path], Sequence[str]], say: Say, what: str) -> Path:
    """The folder that Maven fills from ``sources``, of which the first is the ``pom.xml``.

    ``goals`` gives Maven's arguments for a folder. Another ``var`` or a fresh clone of the same sources finds what is
    there; of two at once the first to end wins. ``what`` completes the sentence "Maven could not …".

    Raises MevflowError when Maven is missing or fails, or the cache folder cannot be written.
    """
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mevflow"
    there = cache / f"{name}-{digest.hexdigest()[:12]}"
    if there.is_dir():
        return there
    maven = shutil.which("mvn")
    if maven is None:
        raise MevflowError(
            f"without Maven one cannot {what}, and there is no mvn on PATH",
            hint="apt-get install maven (Debian, Ubuntu), dnf install maven (Fedora)",
        )
    say(f"having Maven {what}, once for this user")
    fresh = there.with_name(f".{there.name}-{os.getpid()}")
    try:
        fresh.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MevflowError(
            f"the cache folder cannot be written: {error.strerror}", hint="set XDG_CACHE_HOME", file=str(cache)
        ) from error
    command = [maven, "-q", "-B", "-f", str(sources[0]), *goals(fresh)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise MevflowError(f"Maven could not {what}:\n{said}", hint="check the network and ~/.m2")
        try:
            fresh.rename(there)
        except OSError:
            if not there.is_dir():  # else another start was faster, with the same content
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return there
