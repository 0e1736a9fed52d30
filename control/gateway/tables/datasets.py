"""``/api/datasets/schema`` and ``/api/datasets/export``: tables as files, whole or by time, streamed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.door.leash import LeashedStream, leash
from mevflow.control.gateway.tables.reader import ClickHouseReader, ReadBounds
from mevflow.control.refusal import Refused, invalid

#: Format -> (ClickHouse's name, media type, ending).
FORMATS = {
    "parquet": ("Parquet", "application/vnd.apache.parquet", "parquet"),
    "csv": ("CSVWithNames", "text/csv; charset=utf-8; header=present", "csv"),
    "arrow": ("ArrowStream", "application/vnd.apache.arrow.stream", "arrows"),
}
EXPORT = ReadBounds(rows=5_000_000, answer_bytes=2 << 30, seconds=120.0, memory_bytes=2 << 30, at_once=2, each=1)
#: For the way to a slow caller, who has one of the turns meanwhile.
_TAKEN_S = 1_800.0
_KNOWN = ("dataset", "format", "columns", "from", "to", "limit")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?Z?)?\Z")
#: The view raw_swaps is told by the table that it reads, which says which of its columns are computed.
_COLUMNS = """
SELECT if(table = 'raw_swaps_rows', 'raw_swaps', table) AS dataset, name, type, comment, default_kind
FROM system.columns
WHERE database = currentDatabase() AND NOT startsWith(table, '.') AND default_kind != 'EPHEMERAL'
  AND table NOT IN ('raw_swaps', 'mev_stats_1m_kept', 'sink_claims', 'sink_fences')
  AND NOT (table = 'raw_swaps_rows' AND name IN ('signature_raw', 'signer_raw', 'live'))
ORDER BY dataset, position
"""


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """``computed``: not stored as such, or of the sink's own; exported only when asked for by name."""

    name: str
    type: str
    comment: str
    computed: bool


class Datasets:
    """Two endpoints."""

    def __init__(self, carrier: Carrier, reader: ClickHouseReader, bounds: ReadBounds = EXPORT) -> None:
        self._carrier, self._reader, self._bounds = carrier, reader, bounds

    async def schema(self, request: Request) -> Response:
        """Columns of every dataset, or of ``dataset``."""
        carrier = self._carrier
        with carrier.dispatcher.guard("DatasetSchema", carrier.caller(request)) as (_, record):
            carrier.check(request)
            name = request.query_params.get("dataset", "")
            record.target = name[:200]
            found = await self._datasets()
            chosen = {name: _dataset(found, name)} if name else found
        body = {
            "datasets": [
                {
                    "name": dataset,
                    "columns": [
                        {"name": c.name, "type": c.type, "comment": c.comment, "computed": c.computed} for c in columns
                    ],
                    "by_time": any(c.name == "timestamp" for c in columns),
                }
                for dataset, columns in chosen.items()
            ],
            "formats": list(FORMATS),
        }
        return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

    async def export(self, request: Request) -> Response:
        """``dataset``, ``format`` (parquet, csv, arrow), ``columns`` (a,b), ``from`` and ``to`` (UTC), ``limit``."""
        carrier = self._carrier
        with carrier.dispatcher.guard("DatasetExport", carrier.caller(request)) as (identity, record):
            carrier.check(request)
            query = dict(request.query_params)
            record.target = query.get("dataset", "")[:200]
            record.request = msgspec.json.encode(query)[:2000]
            statement, parameters, form = await self._plan(query)
            pieces = self._reader.stream(statement, FORMATS[form][0], parameters, self._bounds, identity.name)
            first = await anext(pieces, b"")
        name = f"{query['dataset']}.{FORMATS[form][2]}"
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
        may = leash(carrier, request, "DatasetExport")
        return LeashedStream(_chain(first, pieces), FORMATS[form][1], headers, may, _TAKEN_S)

    async def _plan(self, query: dict[str, str]) -> tuple[str, dict[str, str], str]:
        """(statement, parameters, format). Names come from the schema, values go as parameters. Raises Refused."""
        for key in query:
            if key not in _KNOWN:
                raise invalid(key[:64], f"no such parameter; known: {', '.join(_KNOWN)}")
        form = query.get("format", "parquet")
        if form not in FORMATS:
            raise invalid("format", f"is one of {', '.join(FORMATS)}")
        name = query.get("dataset", "")
        columns = _dataset(await self._datasets(), name)
        known = [column.name for column in columns]
        wanted = [c for c in query.get("columns", "").split(",") if c] or [c.name for c in columns if not c.computed]
        for column in wanted:
            if column not in known:
                raise invalid("columns", f"{name} has no column {column[:64]!r}")
        where, parameters = [], {}
        for key, sign in (("from", ">="), ("to", "<")):
            if key in query:
                if "timestamp" not in known or not _TIME.match(query[key]):
                    raise invalid(key, "is a time in UTC, of a dataset that has a timestamp")
                parameters[key] = query[key].replace("T", " ").removesuffix("Z")
                where.append(f"timestamp {sign} parseDateTime64BestEffort({{{key}:String}}, 6, 'UTC')")
        limit = query.get("limit", str(self._bounds.rows))
        if len(limit) > 12 or not limit.isascii() or not limit.isdigit() or not 0 < int(limit) <= self._bounds.rows:
            raise invalid("limit", f"is 1 to {self._bounds.rows:,}")
        picked = ", ".join(f"`{column}`" for column in wanted)
        statement = f"SELECT {picked} FROM `{name}`"
        if where:
            statement += f" WHERE {' AND '.join(where)}"
        return f"{statement} LIMIT {int(limit)}", parameters, form

    async def _datasets(self) -> dict[str, list[ExportColumn]]:
        """Tables and views of the database, by name."""
        text = await self._reader.read(_COLUMNS, "JSONCompactEachRow", {})
        found: dict[str, list[ExportColumn]] = {}
        for line in text.splitlines():
            table, name, kind, comment, default = msgspec.json.decode(line, type=tuple[str, str, str, str, str])
            found.setdefault(table, []).append(ExportColumn(name, kind, comment, default in ("MATERIALIZED", "ALIAS")))
        return found


def _dataset(found: dict[str, list[ExportColumn]], name: str) -> list[ExportColumn]:
    if name not in found:
        known = ", ".join(found)
        raise Refused("NOT_FOUND", "NO_SUCH_DATASET", f"no dataset {name[:64]!r}; known: {known}")
    return found[name]


async def _chain(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """A failure in the middle breaks the connection off, so that nobody takes half a file for a whole one."""
    async with contextlib.aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
