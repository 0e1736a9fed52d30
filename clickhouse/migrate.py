"""Numbered SQL migrations, each applied once and never changed afterwards.

``migrations/NNNN_name.sql`` holds statements that end in ``;`` at a line's end; ``{database}`` in them stands for the
database's name. What was applied is a row of
``schema_migrations``. A statement that fails leaves the migration unrecorded; statements are written so that
running them again is safe (IF NOT EXISTS).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from mevflow.clickhouse.strangers import strangers
from mevflow.operators.errors import CheckFailedError, MevflowError, StateError, UsageError

MIGRATIONS = Path(__file__).parent / "migrations"
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_TABLE = """
CREATE TABLE IF NOT EXISTS {database}.schema_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree ORDER BY version
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name, statements, and the SHA-256 of its text."""

    version: int
    name: str
    checksum: str
    statements: tuple[str, ...]

    def sql(self, database: str) -> list[str]:
        """The statements for ``database``, one after the other."""
        return [statement.replace("{database}", database) for statement in self.statements]


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration beside what the database says: ``applied_at`` is empty while it is pending."""

    version: int
    name: str
    checksum: str
    applied_at: str


def load(folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in order. Raises MevflowError for a bad file name, a gap or a number used twice."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        name = _FILE.match(path.name)
        if name is None:
            raise MevflowError("a migration is called NNNN_name.sql", file=str(path))
        text = path.read_text()
        found.append(
            Migration(int(name[1]), name[2], hashlib.sha256(text.encode()).hexdigest(), tuple(_statements(text)))
        )
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MevflowError("migrations are not numbered 1, 2, 3 … without gaps", file=str(folder))
    return found


def migrate(
    client: Client, database: str = "mevflow", folder: Path = MIGRATIONS, until: int | None = None
) -> list[Migration]:
    """Create ``database`` if need be and apply what is pending (up to number ``until``); gives what was applied now.

    Raises StateError when an applied migration's text has changed, or the database is ahead of this program;
    CheckFailedError when tables of our names are somebody else's.
    """
    _check_name(database)
    migrations = load(folder)
    others = strangers(client, database, [each for migration in migrations for each in migration.statements])
    if others:
        raise CheckFailedError(
            f"the database {database} has tables of these names that mevflow did not make: {', '.join(others)}",
            hint="keep them apart: MEVFLOW_CLICKHOUSE__DATABASE=another_name",
        )
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.command(_TABLE.format(database=database))
    recorded = _recorded(client, database)
    _check(migrations, recorded, database)
    done = []
    for migration in migrations:
        if migration.version in recorded or (until is not None and migration.version > until):
            continue
        for statement in migration.sql(database):
            try:
                client.command(statement, settings={"database": database})
            except ClickHouseError as error:
                raise MevflowError(
                    f"migration {migration.version:04d}_{migration.name} failed: {error}",
                    key=statement.split("(", 1)[0].strip(),
                ) from None
        client.insert(
            "schema_migrations",
            [[migration.version, migration.name, migration.checksum]],
            column_names=["version", "name", "checksum"],
            database=database,
        )
        done.append(migration)
    return done


def history(client: Client, database: str = "mevflow", folder: Path = MIGRATIONS) -> list[Applied]:
    """Every migration with when it was applied. Raises StateError as ``migrate`` does."""
    _check_name(database)
    migrations = load(folder)
    exists = client.command(
        "SELECT count() FROM system.tables WHERE database = {name:String} AND name = 'schema_migrations'",
        parameters={"name": database},
    )
    recorded = _recorded(client, database) if exists else {}
    _check(migrations, recorded, database)
    return [
        Applied(
            migration.version,
            migration.name,
            migration.checksum,
            recorded.get(migration.version, ("", ""))[1],
        )
        for migration in migrations
    ]


def _recorded(client: Client, database: str) -> dict[int, tuple[str, str]]:
    rows = client.query(
        f"SELECT version, checksum, toString(applied_at) FROM {database}.schema_migrations FINAL"
    ).result_rows
    return {int(version): (checksum, applied_at) for version, checksum, applied_at in rows}


def _check(migrations: list[Migration], recorded: dict[int, tuple[str, str]], database: str) -> None:
    known = {migration.version: migration for migration in migrations}
    for version, (checksum, _) in sorted(recorded.items()):
        if version not in known:
            raise StateError(
                f"database {database} has migration {version}, which this version of mevflow does not know",
                hint="run the newer version that made it",
            )
        if known[version].checksum != checksum:
            raise StateError(
                f"migration {version:04d}_{known[version].name} was changed after it was applied to {database}",
                hint="restore the file as it was and put the change into a new migration",
            )


def _check_name(database: str) -> None:
    if not _DATABASE.match(database):
        raise UsageError(f"{database!r} is not a database name", key="database")


def _statements(text: str) -> list[str]:
    """Split at ``;`` before a line's end; comment lines alone are no statement."""
    parts = re.split(r";[ \t]*(?:\n|\Z)", text)
    return [part.strip() for part in parts if re.sub(r"--[^\n]*", "", part).strip()]
