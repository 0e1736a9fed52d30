"""Answers made of one SELECT: filters of the query string go as parameters, lists go on by a cursor."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.tables.reader import ClickHouseReader
from mevflow.control.refusal import Refused, invalid

MAX_LIMIT = 1_000
_LIMIT = 100
_MAX_TEXT = 256
_MAX_CURSOR = 1_024
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
#: A JSON number is exact up to here; a larger one (a seed) stays text, as amounts are by toString in the SELECT.
_EXACT = (1 << 53) - 1
_WHOLE = frozenset(("Int64", "UInt64", "Nullable(Int64)", "Nullable(UInt64)"))


@dataclass(frozen=True, slots=True)
class RowFilter:
    """``condition`` has ``{name:Type}`` of the parameter; ``kind``: text, integer or number; ``default``: if absent."""

    condition: str
    kind: str = "text"
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """What rows are ordered by, highest first: an output column and its ClickHouse type."""

    column: str
    type: str


@dataclass(frozen=True, slots=True)
class ListTable:
    """``sql`` is a SELECT with ``$where`` where its conditions go.

    ``orders``: by name, the first is the default; ``identity`` tells rows of one key apart. Without orders the SELECT
    orders its rows itself, and there is no cursor. ``one``: the path's ``{id}`` is a filter, and one row is the answer.
    """

    path: str
    method: str
    summary: str
    sql: str
    filters: Mapping[str, RowFilter] = field(default_factory=dict)
    orders: Mapping[str, Key] = field(default_factory=dict)
    identity: tuple[Key, ...] = ()
    most: int = MAX_LIMIT

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names in the query string."""
        return (*self.filters, *(("order", "cursor") if self.orders else ()), "limit")


class _Column(msgspec.Struct):
    name: str
    type: str


class _Answer(msgspec.Struct):
    meta: list[_Column]
    data: list[list[Any]]


_answers = msgspec.json.Decoder(_Answer)


class TableCalls:
    """Endpoints of tables. ``rows`` is also for endpoints that are made of several SELECTs."""

    def __init__(self, carrier: Carrier, reader: ClickHouseReader) -> None:
        self.carrier, self._reader = carrier, reader

    def endpoint(self, table: ListTable) -> Any:
        """What answers a table's path."""

        async def answer(request: Request) -> Response:
            carrier = self.carrier
            with carrier.dispatcher.guard(table.method, carrier.caller(request)) as (identity, record):
                carrier.check(request)
                query = dict(request.query_params)
                record.request = msgspec.json.encode(query)[:2000]
                body = await self._page(table, query, identity.name)
            return Response(msgspec.json.encode(body), 200, {"cache-control": "no-store"}, "application/json")

        return answer

    async def rows(self, sql: str, parameters: Mapping[str, str], caller: str) -> list[dict[str, Any]]:
        """The rows of a SELECT of the service's own. Raises Refused."""
        answer = _answers.decode(await self._reader.read(sql, "JSONCompact", parameters, caller))
        names = [column.name for column in answer.meta]
        whole = [at for at, column in enumerate(answer.meta) if column.type in _WHOLE]
        for row in answer.data:
            for at in whole:
                if row[at] is not None and abs(number := int(row[at])) <= _EXACT:
                    row[at] = number
        return [dict(zip(names, row, strict=True)) for row in answer.data]

    async def _page(self, table: ListTable, query: dict[str, str], caller: str) -> dict[str, Any]:
        for name in query:
            if name not in table.parameters:
                raise invalid(
                    name[:64], f"no such parameter; known: {', '.join(table.parameters)}", "UNKNOWN_PARAMETER"
                )
        limit = _limit(query.get("limit", ""), table.most)
        conditions, parameters = conditions_of(table.filters, query)
        sql = table.sql.replace("$where", " AND ".join(conditions) or "1")
        if not table.orders:
            found = await self.rows(f"{sql}\nLIMIT {limit + 1}", parameters, caller)
            return {"rows": found[:limit], "truncated": len(found) > limit}
        order = query.get("order") or next(iter(table.orders))
        if order not in table.orders:
            raise invalid("order", f"is one of {', '.join(table.orders)}")
        keys = (table.orders[order], *table.identity)
        after = "1"
        if query.get("cursor"):
            values = _cursor(query["cursor"], order, len(keys))
            parameters |= {f"after_{at}": value for at, value in enumerate(values)}
            given = ", ".join(f"{{after_{at}:{key.type}}}" for at, key in enumerate(keys))
            after = f"({', '.join(key.column for key in keys)}) < ({given})"
        ordered = ", ".join(f"{key.column} DESC" for key in keys)
        found = await self.rows(
            f"SELECT * FROM ({sql}) WHERE {after} ORDER BY {ordered} LIMIT {limit + 1}", parameters, caller
        )
        rows = found[:limit]
        following = None
        if len(found) > limit:
            last = [rows[-1][key.column] for key in keys]
            following = base64.urlsafe_b64encode(msgspec.json.encode([order, *map(_text, last)])).decode()
        return {"rows": rows, "next": following}


def conditions_of(filters: Mapping[str, RowFilter], query: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """(conditions, parameters) of what is asked. Raises Refused for a value that cannot be one."""
    conditions, parameters = [], {}
    for name, each in filters.items():
        value = query.get(name, each.default)
        if value is None or (value == "" and each.default is None):
            continue
        conditions.append(each.condition)
        parameters[name] = _checked(name, value, each.kind)
    return conditions, parameters


def _checked(name: str, value: str, kind: str) -> str:
    if kind == "integer" and not _INTEGER.match(value):
        raise invalid(name, "is a whole number of at most 18 digits")
    if kind == "number":
        try:
            good = len(value) <= 32 and math.isfinite(float(value))
        except ValueError:
            good = False
        if not good or not value.isascii() or "_" in value:
            raise invalid(name, "is a number")
        return value.strip()
    if len(value) > _MAX_TEXT or "\0" in value:
        raise invalid(name, f"has at most {_MAX_TEXT} characters")
    # ClickHouse reads parameters as it reads TSV.
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _limit(text: str, most: int) -> int:
    if not text:
        return min(_LIMIT if most == MAX_LIMIT else most, most)
    if len(text) > 6 or not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise invalid("limit", f"is 1 to {most:,}")
    return int(text)


def _cursor(text: str, order: str, keys: int) -> list[str]:
    """The key's values after which a list goes on. Raises Refused."""
    try:
        if len(text) > _MAX_CURSOR:
            raise ValueError("too long")
        values: list[str] = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=list[str])
        if len(values) != keys + 1 or values[0] != order:
            raise ValueError("of another list")
    except (ValueError, msgspec.DecodeError) as error:
        raise invalid("cursor", "is the `next` of an answer to the same question") from error
    return values[1:]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def not_found(what: str, identifier: str) -> Refused:
    """A refusal for an id that nothing has."""
    return Refused("NOT_FOUND", f"NO_SUCH_{what.upper()}", f"no {what} {identifier[:64]!r} is stored")
