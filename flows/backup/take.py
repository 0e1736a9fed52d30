"""Make a backup: (1) hold everything still, (2) write tables, state and project, (3) the manifest, last."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import mevflow
from mevflow.flows.backup.manifest import FORMAT, PROJECT, STATE, TABLES, Manifest, StoredFile, describe
from mevflow.flows.backup.project import project_files, state_files
from mevflow.flows.backup.standstill import deployed, engine, standstill
from mevflow.flows.backup.tables import migrations, store, tables
from mevflow.flows.config import Config, home
from mevflow.flows.demo.report import connect_server
from mevflow.kafka import broker, topics
from mevflow.operators.errors import CheckFailedError, MevflowError, UsageError
from mevflow.processes.private import open_private, private_folder

Say = Callable[[str], None]
_PIECE_BYTES = 1 << 20


def backup(config: Config, file: Path, target: Path, *, drain: bool, with_topics: bool, say: Say) -> Manifest:
    """Write a backup of the deployment to the (new or empty) folder ``target``.

    ``with_topics``: with the log of the embedded broker, if there is one. Raises UsageError (the folder is not empty),
    CheckFailedError (something runs that is not to be drained), UnreachableError (ClickHouse), MevflowError (the disk).
    """
    target = target.absolute()
    _check_target(target, config)
    embedded = (config.var / "kafka" / "data" / "meta.properties").exists()
    with_topics = with_topics and embedded
    try:
        with standstill(config, file, drain=drain, topics=with_topics, say=say) as check:
            private_folder(target)
            stored, applied, others = _tables(config, target, say)
            files, outside = _files(config, target, with_topics, say)
            check()
            cluster = _cluster(config)
            made = Manifest(
                format=FORMAT,
                mevflow=version("mevflow"),
                made_us=time.time_ns() // 1000,
                home=str(home()),
                database=config.clickhouse.database,
                migrations=applied,
                topologies=deployed(config.var),
                topics=with_topics,
                cluster=cluster,
                tables=stored,
                files=files,
                left_out=[*outside, *(f"table {config.clickhouse.database}.{name}" for name in others)],
            )
            made.save(target)
    except OSError as error:
        raise MevflowError(f"the backup cannot be written: {error.strerror}", file=str(target)) from error
    return made


def _check_target(target: Path, config: Config) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError("is there and not an empty folder", hint="name a new one", file=str(target))
    if target.is_relative_to(config.var):
        raise UsageError("lies in the state folder, which is what is backed up", file=str(target))


def _tables(config: Config, target: Path, say: Say) -> tuple[list, dict[int, str], list[str]]:
    private_folder(target / TABLES)
    database = config.clickhouse.database
    with engine(config, say):
        client = connect_server()
        try:
            applied = migrations(client, database)
            ours, others = tables(client, database)
            stored = []
            for name in ours:
                table = store(client, database, name, target)
                say(f"{name}: {table.rows:,} rows")
                stored.append(table)
        finally:
            client.close()
    return stored, applied, others


def _files(config: Config, target: Path, with_topics: bool, say: Say) -> tuple[list[StoredFile], list[str]]:
    """Copy project and state; gives every file of the backup, the tables' too."""
    root = home()
    inside, outside = project_files(config, root)
    packaged = Path(mevflow.__file__).parent.resolve()
    outside = [path for path in outside if not Path(path).resolve().is_relative_to(packaged)]
    files = [each for path in sorted((target / TABLES).iterdir()) if (each := describe(target, path)) is not None]
    for path in inside:
        files.append(_copy(path, target, Path(PROJECT) / path.relative_to(root)))
    say(f"{len(inside)} files of the project in {root}")
    state = list(state_files(config.var, with_topics))
    for path in state:
        files.append(_copy(path, target, Path(STATE) / path.relative_to(config.var)))
    say(f"{len(state)} files of {config.var}")
    return files, outside


def _copy(source: Path, target: Path, name: Path) -> StoredFile:
    """Copy one file, and give what was written. Raises CheckFailedError when it is shorter than it was, OSError."""
    private_folder((target / name).parent)
    sha, size, expected = hashlib.sha256(), 0, source.stat().st_size
    with source.open("rb") as reading, open_private(target / name, "wb") as writing:
        while piece := reading.read(_PIECE_BYTES):
            sha.update(piece)
            size += len(piece)
            writing.write(piece)
    if size != expected:
        raise CheckFailedError("changed while it was copied", hint="make the backup again", file=str(source))
    return StoredFile(str(name), size, sha.hexdigest())


def _cluster(config: Config) -> str:
    """The id of the Kafka cluster that the deployment works on; empty when nobody says."""
    data = config.var / "kafka" / "data" / "meta.properties"
    if data.exists():
        lines = dict(line.split("=", 1) for line in data.read_text().splitlines() if "=" in line)
        return lines.get("cluster.id", "")
    bootstrap = config.kafka.bootstrap
    return topics.cluster_id(bootstrap) if broker.answers(bootstrap, 2.0) else ""
