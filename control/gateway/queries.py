"""``/api/clickhouse/query``: one statement that reads, or a query template by name, with parameters."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.clickhouse import queries as templates
from mevflow.control.gateway.carry import Carrier
from mevflow.control.gateway.reader import ClickHouseReader
from mevflow.control.gateway.statement import check_text
from mevflow.control.gateway.tree import check_tree
from mevflow.control.server.refusal import Refused, invalid
from mevflow.operators.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_MAX_PARAMETERS = 64
_MAX_VALUE = 64 << 10
_SHOWN = 2_000


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked. ``parameters`` fill ``{name:Type}``; they are values, and ClickHouse parses them by their type."""

    query: str = ""
    template: str = ""
    parameters: dict[str, str | int | float | bool] = {}


class _Column(msgspec.Struct):
    name: str
    type: str


class _Answer(msgspec.Struct):
    """ClickHouse's JSONCompact, as far as it is passed on."""

    meta: list[_Column]
    data: list[msgspec.Raw]
    statistics: dict[str, Any] = {}


_asks = msgspec.json.Decoder(Ask)
_answers = msgspec.json.Decoder(_Answer)


class QueryEndpoints:
    """The endpoint."""

    def __init__(self, carrier: Carrier, reader: ClickHouseReader) -> None:
        self._carrier, self._reader = carrier, reader

    async def ask(self, request: Request) -> Response:
        """Columns, rows (arrays; integers of 64 bits and more as text), and whether there would be more."""
        carrier = self._carrier
        body = await carrier.body(request, "Query")
        with carrier.dispatcher.guard("Query", carrier.caller(request)) as (identity, record):
            carrier.check(request)
            if isinstance(body, Refused):
                raise body
            statement, parameters = _read(body)
            record.request = msgspec.json.encode({"query": statement[:_SHOWN], "parameters": sorted(parameters)})
            answer = await self._run(statement, parameters, identity.name)
        return Response(msgspec.json.encode(answer), 200, {"cache-control": "no-store"}, "application/json")

    async def _run(self, statement: str, parameters: dict[str, str], caller: str) -> dict[str, Any]:
        check_text(statement)
        statement = statement.strip().rstrip(";")
        functions = await self._reader.functions()
        check_tree(await self._reader.explain(statement, parameters, caller), self._reader.where.database, functions)
        text = await self._reader.read(statement, "JSONCompact", parameters, caller)
        try:
            found = _answers.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused("INVALID_ARGUMENT", "QUERY_FAILED", "the answer is not JSON") from error
        limit = self._reader.bounds.rows
        return {
            "columns": found.meta,
            "rows": found.data[:limit],
            "truncated": len(found.data) > limit,
            "statistics": found.statistics,
        }


def _read(body: bytes) -> tuple[str, dict[str, str]]:
    """The statement and its parameters as text. Raises Refused."""
    try:
        ask = _asks.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", "MALFORMED_JSON", f"not a query: {error}") from None
    if bool(ask.query) == bool(ask.template):
        raise invalid("query", "give a query or the name of a template")
    parameters = {name: _text(value) for name, value in ask.parameters.items()}
    if len(parameters) > _MAX_PARAMETERS:
        raise invalid("parameters", f"at most {_MAX_PARAMETERS}")
    for name, value in parameters.items():
        if not _NAME.match(name) or len(value) > _MAX_VALUE:
            raise invalid(
                "parameters", f"{name[:64]!r}: a name of letters, and a value of at most {_MAX_VALUE} characters"
            )
    if not ask.template:
        return ask.query, parameters
    try:
        template = templates.load(ask.template)
    except UsageError as error:
        raise Refused("NOT_FOUND", "NO_SUCH_TEMPLATE", str(error.message), metadata={"hint": error.hint}) from None
    return template.sql, template.defaults | parameters


def _text(value: str | int | float | bool) -> str:
    """A value as ClickHouse's parameters are written: backslash escapes, as in TSV."""
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str):
        return str(value)
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
