"""Make a deployment of a backup: (1) check every checksum, and that nothing is in the way, (2) files, (3) tables.

Tables are made as the backup's version had them, filled, compared, and only then brought up to this version, so that
migrations which move rows move these too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from clickhouse_connect.driver.client import Client

from mevflow.clickhouse.migrate import load, migrate
from mevflow.flows.backup.manifest import PROJECT, STATE, Manifest
from mevflow.flows.backup.standstill import engine
from mevflow.flows.backup.tables import fill
from mevflow.flows.config import TOML, TOPOLOGIES, Config, config, locate
from mevflow.flows.demo.report import connect_server
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec
from mevflow.operators.errors import CheckFailedError, MevflowError, StateError
from mevflow.processes.private import open_private, private_folder

Say = Callable[[str], None]
#: Says that a restore has begun and not ended.
UNFINISHED = ".restore-unfinished"


def restore(source: Path, target: Path, say: Say) -> Manifest:
    """Write the backup in ``source`` to the (new or empty) folder ``target``, and to the ClickHouse that it configures.

    The configuration is the backup's own; the environment comes before it, as ever. Raises UsageError (no backup),
    CheckFailedError (damaged, or something is in the way), StateError (made by a newer version), UnreachableError.
    """
    source, target = source.absolute(), target.absolute()
    manifest = Manifest.load(source)
    say(f"checking {len(manifest.files)} files")
    manifest.check(source)
    _check_migrations(manifest)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        hint = "an earlier restore was cut off: remove the folder" if (target / UNFINISHED).exists() else "a new one"
        raise CheckFailedError("is there and not an empty folder", hint=hint, file=str(target))
    before = locate(None)
    try:
        private_folder(target)
        _begin(target)
        settings = _project(manifest, source, target)
        _state(manifest, source, settings.var, target, say)
        with engine(settings, say):
            client = connect_server()
            try:
                _tables(manifest, source, client, settings.clickhouse.database, say)
            finally:
                client.close()
        (target / UNFINISHED).unlink()
        if manifest.cluster and not manifest.topics:
            say(f"its positions are of the Kafka cluster {manifest.cluster}: on another, deploy with --fresh")
    except OSError as error:
        raise MevflowError(f"cannot be restored: {error.strerror}", file=str(target)) from error
    finally:
        locate(before)
    return manifest


def _begin(target: Path) -> None:
    """Say that a restore fills the folder. Raises CheckFailedError when another one does."""
    try:
        (target / UNFINISHED).touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise CheckFailedError("another restore fills this folder", hint="a new one", file=str(target)) from None


def _check_migrations(manifest: Manifest) -> None:
    known = {step.version: step.checksum for step in load()}
    for version, checksum in sorted(manifest.migrations.items()):
        if known.get(version) != checksum:
            raise StateError(
                f"the backup has migration {version}, which this version of mevflow "
                f"{'has with another text' if version in known else 'does not know'}",
                hint=f"restore it with mevflow {manifest.mevflow}",
            )


def _project(manifest: Manifest, source: Path, target: Path) -> Config:
    """Put the project's files there; gives its configuration."""
    _copy(manifest, source, PROJECT, target)
    (target / TOML).touch(mode=0o600)  # what is configured is found here, not in a folder above
    locate(target / TOPOLOGIES)
    return config()


def _state(manifest: Manifest, source: Path, var: Path, target: Path, say: Say) -> None:
    if var.exists() and any(path.name != UNFINISHED for path in var.iterdir()):
        raise CheckFailedError(
            "the state folder is not empty", hint="set MEVFLOW_VAR to a new one, and remove the folder", file=str(var)
        )
    private_folder(var)
    say(f"{_copy(manifest, source, STATE, var)} files of state to {var}")
    for name in manifest.topologies:
        layout = Layout.live(var, name)
        for path in (layout.spec, layout.previous):
            if path.exists():
                _moved(RunSpec.load(path), manifest, target, var).save(path)


def _moved(spec: RunSpec, manifest: Manifest, target: Path, var: Path) -> RunSpec:
    """A deployment's spec where it is now. Its claim was another place's."""
    file = Path(spec.file)
    home = Path(manifest.home)
    return msgspec.structs.replace(
        spec,
        file=str(target / file.relative_to(home)) if file.is_relative_to(home) else spec.file,
        root=str(Layout.live(var, spec.topology).root),
        var=str(var),
        lease=None,
    )


def _copy(manifest: Manifest, source: Path, part: str, target: Path) -> int:
    """Copy what the manifest names of a part of the backup, for this user alone."""
    names = [Path(stored.path) for stored in manifest.files if stored.path.startswith(f"{part}/")]
    for name in names:
        to = target / name.relative_to(part)
        private_folder(to.parent)
        with (source / name).open("rb") as reading, open_private(to, "wb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
    return len(names)


def _tables(manifest: Manifest, source: Path, client: Client, database: str, say: Say) -> None:
    _check_empty(client, database)
    migrate(client, database, until=max(manifest.migrations, default=0))
    for table in manifest.tables:
        fill(client, database, table, source)
        say(f"{table.name}: {table.rows:,} rows")
    later = migrate(client, database)
    if later:
        say(f"{len(later)} later migrations applied")


def _check_empty(client: Client, database: str) -> None:
    sql = "SELECT name FROM system.tables WHERE database = {database:String} ORDER BY name LIMIT 5"
    there = [row[0] for row in client.query(sql, parameters={"database": database}).result_rows]
    if there:
        raise CheckFailedError(
            f"the database {database} has tables ({', '.join(there)} …)",
            hint="set MEVFLOW_CLICKHOUSE__DATABASE to another name, or drop it; and remove the folder",
            key=database,
        )
