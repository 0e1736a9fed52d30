"""The states that a stopped shard's recovery store holds, by node; and states that a new store is to begin with.

Bytewax keeps snapshots in SQLite: ``snaps`` by step, key and epoch, ``fronts`` the epoch that each execution came to.
Our snapshots are bytes, which it pickles; nothing else is unpickled.
"""

from __future__ import annotations

import io
import os
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from mevflow.operators.errors import MevflowError, StateError

_SEED = "seed.json"
_BEGINNING = "beginning.json"
_SNAPS = """
SELECT step_id, ser_change FROM snaps AS s WHERE snap_epoch = (
    SELECT max(snap_epoch) FROM snaps WHERE step_id = s.step_id AND state_key = s.state_key
    AND snap_epoch < (SELECT max(worker_frontier) FROM fronts)
)
"""


class _BytesOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"a snapshot is bytes, not {module}.{name}")


def saved_states(folder: Path) -> dict[str, bytes]:
    """Node -> its state as the next run would resume from; what it began with where nothing was saved since.

    Raises StateError when the store cannot be read.
    """
    states = _read(folder / _BEGINNING) | seeded(folder)
    for path in folder.glob("part-*.sqlite3"):
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
                rows = store.execute(_SNAPS).fetchall()
            found = {_node(step): _BytesOnly(io.BytesIO(change)).load() for step, change in rows if change is not None}
        except (sqlite3.Error, pickle.UnpicklingError, EOFError) as error:
            raise StateError(f"the saved state cannot be read: {error}", file=str(path)) from error
        states |= {node: state for node, state in found.items() if isinstance(state, bytes)}
    return states


def _node(step_id: str) -> str:
    """``flow.node`` or ``flow.node.operator`` -> node."""
    return step_id.split(".")[1]


def seed(folder: Path, states: dict[str, bytes]) -> None:
    """Have the shard of this (new) folder begin with ``states``. Raises MevflowError."""
    try:
        folder.mkdir(parents=True)
        (folder / _SEED).write_bytes(msgspec.json.encode(states))
    except OSError as error:
        raise MevflowError(f"the state cannot be written: {error.strerror}", file=str(folder)) from error


def seeded(folder: Path) -> dict[str, bytes]:
    """What :func:`seed` has left for a shard; empty when it has not."""
    return _read(folder / _SEED)


def begun(folder: Path, first: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
    """What ``first`` gave when the shard of this folder was started the first time; kept before anything is written.

    Raises what ``first`` raises; StateError or MevflowError for a file that cannot be read or written.
    """
    path = folder / _BEGINNING
    if path.exists():
        return _read(path)
    states, beside = first(), path.with_suffix(".new")
    try:
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(states))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise MevflowError(f"the state cannot be written: {error.strerror}", file=str(path)) from error
    return states


def _read(path: Path) -> dict[str, bytes]:
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, bytes])
    except (OSError, msgspec.DecodeError) as error:
        raise StateError("the state to begin with cannot be read", file=str(path)) from error
