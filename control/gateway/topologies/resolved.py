"""Topologies as their files have them, for endpoints that are asked often: a file is read again when it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from mevflow.control.refusal import Refused
from mevflow.control.server.service import Service
from mevflow.control.server.topologies import refusal_of
from mevflow.flows.spec.resolve import ResolvedTopology, resolve
from mevflow.flows.spec.topology import Topology, TopologyFile, load
from mevflow.operators.errors import MevflowError


@dataclass(frozen=True, slots=True)
class FileTopology:
    """``written``: as the file has it; ``resolved``: with its parts and their settings."""

    written: Topology
    resolved: ResolvedTopology


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was at ``stamp`` (nanoseconds of its last change), and what was resolved of it so far."""

    stamp: int
    file: TopologyFile
    found: dict[str, FileTopology] = field(default_factory=dict)


class ResolvedFiles:
    """Safe from several threads; blocks on files."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._read: dict[Path, _Read] = {}
        self._lock = Lock()

    def of(self, name: str) -> FileTopology:
        """A topology as it was deployed, else as the service's file has it. Raises Refused."""
        deployed = self._service.roll.deployed.get(name)
        path = Path(deployed.file) if deployed else self._service.settings.file
        try:
            with self._lock:
                return self._of(path, name)
        except MevflowError as error:
            raise refusal_of(error) from error

    def _of(self, path: Path, name: str) -> FileTopology:
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        read = self._read.get(path)
        if read is None or read.stamp != stamp:
            read = self._read[path] = _Read(stamp, load(path))
        if name not in read.file.topologies:
            raise Refused("NOT_FOUND", "NO_SUCH_TOPOLOGY", f"no topology {name[:64]!r} in the topology file")
        if name not in read.found:
            read.found[name] = FileTopology(read.file.topologies[name], resolve(read.file, name))
        return read.found[name]
