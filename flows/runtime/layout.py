"""Where a running topology keeps its files, below ``<var>/run/<topology>`` (a replay: ``<var>/replay/...``)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mevflow.operators.errors import MevflowError
from mevflow.processes.private import private_folder


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one topology's run."""

    root: Path

    @classmethod
    def live(cls, var: Path, topology: str) -> Layout:
        return cls(var.absolute() / "run" / topology)

    @classmethod
    def replay(cls, var: Path, topology: str, run_id: str) -> Layout:
        return cls(var.absolute() / "replay" / topology / run_id)

    def make(self) -> Layout:
        """Create the folder. Raises MevflowError when it cannot be written."""
        try:
            private_folder(self.root)
            probe = self.root / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise MevflowError(
                f"the state folder cannot be written: {error.strerror}",
                hint="mend its permissions, or set MEVFLOW_VAR to a folder that you own",
                file=str(self.root),
            ) from error
        return self

    @property
    def supervisor(self) -> Path:
        return self.root / "supervisor.json"

    @property
    def claim(self) -> Path:
        """Held by who deploys the topology, its supervisor and its shards: see :mod:`mevflow.flows.runtime.claim`."""
        return self.root / "claim"

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def previous(self) -> Path:
        """The spec before the last change, to go back to."""
        return self.root / "spec-previous.json"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def states(self) -> Path:
        """What each stage of a replay knew at the end of the window."""
        return self.root / "states"

    def status(self, shard: int) -> Path:
        return self.root / f"shard-{shard}.json"

    def log(self, shard: int) -> Path:
        return self.root / f"shard-{shard}.log"

    def shard_claim(self, shard: int) -> Path:
        """Held by the one process that may work on the shard's recovery store."""
        return self.root / f"shard-{shard}.claim"

    def latch(self, shard: int) -> Path:
        """Says that a kill file or a lost pulse engaged the kill switch; outlives state that is forgotten."""
        return self.root / f"latch-{shard}.json"
