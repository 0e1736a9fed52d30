"""ClickHouse tables as files of text (TabSeparated, zstd), and back.

The rows are those that a reader sees: ones that a later one replaced are left out (``FINAL``). A table's digest is the
sum of its rows' hashes, so it does not depend on their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from mevflow.clickhouse.migrate import load
from mevflow.flows.backup.manifest import TABLES, StoredTable
from mevflow.operators.errors import CheckFailedError, MevflowError
from mevflow.processes.private import open_private

#: One INSERT of a restore, in bytes of text, cut at the end of a row.
_INSERT_BYTES = 32 << 20
_PIECE_BYTES = 1 << 20
#: What fences writers off is filled last: rows of a fenced writer belong to the backup too.
_LAST = ("sink_fences",)
#: Migrations write this one.
_OWN = "schema_migrations"
#: Rows that a key replaces, sums or removes are settled when they are read.
_SETTLED = re.compile(r"(Shared|Replicated)?(Replacing|Summing|Collapsing|VersionedCollapsing|Aggregating)MergeTree")
_CREATES = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)


def tables(client: Client, database: str) -> tuple[list[str], list[str]]:
    """Tables that hold rows: those that migrations made, and others (of somebody else)."""
    sql = """
    SELECT name FROM system.tables
    WHERE database = {database:String} AND engine NOT IN ('View', 'MaterializedView') AND NOT is_temporary
    ORDER BY name
    """
    names = [row[0] for row in client.query(sql, parameters={"database": database}).result_rows]
    made = {name for step in load() for sql in step.statements for name in _CREATES.findall(sql)}
    ours = [name for name in names if name in made]
    ours.sort(key=lambda name: name in _LAST)
    return ours, [name for name in names if name not in made and name != _OWN]


def migrations(client: Client, database: str) -> dict[int, str]:
    """Number -> checksum of the migrations that the database has. Raises MevflowError without any."""
    try:
        rows = client.query(f"SELECT version, checksum FROM {database}.{_OWN} FINAL").result_rows
    except ClickHouseError:
        raise MevflowError(
            f"the database {database} has no mevflow tables", hint="mevflow clickhouse migrate", key=database
        ) from None
    return {int(version): str(checksum) for version, checksum in rows}


def store(client: Client, database: str, name: str, folder: Path) -> StoredTable:
    """Write one table to ``folder``. Raises CheckFailedError when it changed meanwhile, OSError."""
    columns = list(_columns(client, database, name))
    rows, digest = measure(client, database, name, columns)
    file = f"{TABLES}/{name}.tsv.zst"
    written = 0
    listed = ", ".join(f"`{column}`" for column in columns)
    sql = f"SELECT {listed} FROM {database}.`{name}`{_final(client, database, name)}"
    with (
        client.raw_stream(sql, fmt="TabSeparated") as answer,
        open_private(folder / file, "wb") as plain,
        pa.CompressedOutputStream(pa.PythonFile(plain, "w"), "zstd") as packed,
    ):
        while piece := answer.read(_PIECE_BYTES):
            packed.write(piece)
            written += piece.count(b"\n")
    if written != rows or measure(client, database, name, columns) != (rows, digest):
        raise CheckFailedError(
            f"{database}.{name} changed while it was read ({rows:,} rows, {written:,} read)",
            hint="something else writes to this ClickHouse: stop it, and make the backup again",
        )
    return StoredTable(name, file, columns, rows, digest)


def fill(client: Client, database: str, table: StoredTable, folder: Path) -> None:
    """Put a stored table's rows into the (empty) table. Raises MevflowError, CheckFailedError when others arrive."""
    names = _columns(client, database, table.name)
    missing = [column for column in table.columns if column not in names]
    if missing:
        raise MevflowError(f"the table {table.name} has no column {', '.join(missing)}", file=str(folder / table.file))
    try:
        for rows in _pieces(folder / table.file):
            client.raw_insert(
                f"{database}.`{table.name}`",
                [names[column] for column in table.columns],
                rows,
                fmt="TabSeparated",
                settings={"max_partitions_per_insert_block": 0},
            )
    except ClickHouseError as error:
        raise MevflowError(f"the rows of {table.name} are refused: {error}", file=str(folder / table.file)) from None
    found = measure(client, database, table.name, table.columns)
    if found != (table.rows, table.digest):
        raise CheckFailedError(
            f"{database}.{table.name} has {found[0]:,} rows and should have the {table.rows:,} of the backup",
            hint="something else writes to this ClickHouse: stop it, drop the database, and restore again",
        )


def measure(client: Client, database: str, name: str, columns: list[str]) -> tuple[int, int]:
    """(rows, sum of their hashes) as a reader sees them."""
    listed = ", ".join(f"`{column}`" for column in columns)
    sql = f"""
    SELECT count(), sum(cityHash64(formatRow('TabSeparated', {listed})))
    FROM {database}.`{name}`{_final(client, database, name)}
    """
    row = client.query(sql).result_rows[0]
    return int(row[0]), int(row[1])


def _columns(client: Client, database: str, name: str) -> dict[str, str]:
    """Stored columns by the names under which they are inserted.

    One that a column without storage fills (``x MATERIALIZED _x``) is inserted as that; one that is computed of others
    comes by itself.
    """
    sql = """
    SELECT name, default_kind, default_expression FROM system.columns
    WHERE database = {database:String} AND table = {name:String} ORDER BY position
    """
    found = client.query(sql, parameters={"database": database, "name": name}).result_rows
    given = {column for column, kind, _ in found if kind == "EPHEMERAL"}
    plain = {column: column for column, kind, _ in found if kind in ("", "DEFAULT")}
    return plain | {column: source for column, kind, source in found if kind == "MATERIALIZED" and source in given}


def _final(client: Client, database: str, name: str) -> str:
    sql = "SELECT engine FROM system.tables WHERE database = {database:String} AND name = {name:String}"
    engine: Any = client.command(sql, parameters={"database": database, "name": name})
    return " FINAL" if _SETTLED.fullmatch(str(engine)) else ""


def _pieces(path: Path) -> Iterator[bytes]:
    """A stored table's text in pieces of whole rows."""
    left = b""
    with path.open("rb") as plain, pa.CompressedInputStream(pa.PythonFile(plain, "r"), "zstd") as packed:
        while piece := packed.read(_INSERT_BYTES):
            end = piece.rfind(b"\n") + 1
            if end:
                yield left + piece[:end]
                left = piece[end:]
            else:
                left += piece
    if left:
        yield left
