"""``/api/clickhouse/query``: one statement that reads, or a query template by name, with parameters.

A query ends with its caller: who hangs up, or asks ``/api/clickhouse/cancel``, has it killed.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mevflow.clickhouse import queries as templates
from mevflow.control.gateway.door.carry import Carrier
from mevflow.control.gateway.sql.statement import check_text
from mevflow.control.gateway.sql.tree import check_tree
from mevflow.control.gateway.tables.reader import ClickHouseReader
from mevflow.control.refusal import Refused, invalid
from mevflow.operators.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_MAX_PARAMETERS = 64
_MAX_VALUE = 64 << 10
_SHOWN = 2_000
_MAX_ID = 64
#: How often it is looked whether a caller is still there.
_LOOK_S = 0.2
T = TypeVar("T")


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked. ``parameters`` fill ``{name:Type}``; they are values, and ClickHouse parses them by their type.

    ``id``: the caller's own name for the query, to cancel it by.
    """

    query: str = ""
    template: str = ""
    id: str = ""
    parameters: dict[str, str | int | float | bool] = {}


class Cancel(msgspec.Struct, forbid_unknown_fields=True):
    """``id``: of a query that the same identity asked."""

    id: str


class _Column(msgspec.Struct):
    name: str
    type: str


class _Answer(msgspec.Struct):
    """ClickHouse's JSONCompact, as far as it is passed on."""

    meta: list[_Column]
    data: list[msgspec.Raw]
    statistics: dict[str, Any] = {}


_asks = msgspec.json.Decoder(Ask)
_cancels = msgspec.json.Decoder(Cancel)
_answers = msgspec.json.Decoder(_Answer)


class QueryEndpoints:
    """The endpoints."""

    def __init__(self, carrier: Carrier, reader: ClickHouseReader) -> None:
        self._carrier, self._reader = carrier, reader
        self._running: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._marks: dict[tuple[str, str], str] = {}

    async def ask(self, request: Request) -> Response:
        """Columns, rows (arrays; integers of 64 bits and more as text), and whether there would be more."""
        carrier = self._carrier
        body = await carrier.body(request, "Query")
        with carrier.dispatcher.guard("Query", carrier.caller(request)) as (identity, record):
            carrier.check(request)
            if isinstance(body, Refused):
                raise body
            statement, parameters, name = _read(body)
            record.request = msgspec.json.encode({"query": statement[:_SHOWN], "parameters": sorted(parameters)})
            key = (identity.name, name)
            answer = await self._while_wanted(request, key, self._run(statement, parameters, key))
        return Response(msgspec.json.encode(answer), 200, {"cache-control": "no-store"}, "application/json")

    async def cancel(self, request: Request) -> Response:
        """Kill a query of the caller's own; says whether there was one."""
        carrier = self._carrier
        body = await carrier.body(request, "QueryCancel")
        with carrier.dispatcher.guard("QueryCancel", carrier.caller(request)) as (identity, _):
            carrier.check(request)
            if isinstance(body, Refused):
                raise body
            try:
                name = _cancels.decode(body).id
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Refused("INVALID_ARGUMENT", "MALFORMED_JSON", f"not a query's id: {error}") from None
            task = self._running.get((identity.name, name))
            if task is not None:
                task.cancel()
        found = msgspec.json.encode({"cancelled": task is not None})
        return Response(found, 200, {"cache-control": "no-store"}, "application/json")

    async def progress(self, request: Request) -> Response:
        """How far a query of the caller's own is: rows read, of how many, seconds; ``running`` false: there is none."""
        carrier = self._carrier
        with carrier.dispatcher.guard("QueryProgress", carrier.caller(request)) as (identity, _):
            carrier.check(request)
            name = request.query_params.get("id", "")
            if not 0 < len(name) <= _MAX_ID:
                raise invalid("id", f"has 1 to {_MAX_ID} characters")
            mark = self._marks.get((identity.name, name))
            found = await self._reader.progress(mark) if mark else None
        told = {"running": mark is not None, **(msgspec.structs.asdict(found) if found else {})}
        return Response(msgspec.json.encode(told), 200, {"cache-control": "no-store"}, "application/json")

    async def _while_wanted(self, request: Request, key: tuple[str, str], query: Coroutine[Any, Any, T]) -> T:
        """The answer of a query, unless its caller hangs up or cancels it: the reader kills it then."""
        task = asyncio.create_task(query)
        if key[1]:
            if key in self._running:
                task.cancel()
                raise Refused("ALREADY_EXISTS", "ID_IN_USE", "a query of this id is under way")
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK_S)
                if not task.done() and await request.is_disconnected():
                    break
        finally:
            if not task.done():
                task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            raise Refused("CANCELLED", "QUERY_CANCELLED", "the query was cancelled") from None

    async def _run(self, statement: str, parameters: dict[str, str], key: tuple[str, str]) -> dict[str, Any]:
        caller, mark = key[0], uuid.uuid4().hex
        given, statement = statement, statement.strip().rstrip(";")
        functions = await self._reader.functions()
        database = self._reader.where.database
        await self._reader.explain(
            statement,
            parameters,
            lambda: check_text(given),
            lambda tree: check_tree(tree, database, functions),
            caller,
        )
        if key[1]:
            self._marks[key] = mark
        try:
            text = await self._reader.read(statement, "JSONCompact", parameters, caller, mark)
        finally:
            self._marks.pop(key, None)
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


def _read(body: bytes) -> tuple[str, dict[str, str], str]:
    """The statement, its parameters as text, and the query's id. Raises Refused."""
    try:
        ask = _asks.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", "MALFORMED_JSON", f"not a query: {error}") from None
    if bool(ask.query) == bool(ask.template):
        raise invalid("query", "give a query or the name of a template")
    if len(ask.parameters) > _MAX_PARAMETERS:
        raise invalid("parameters", f"at most {_MAX_PARAMETERS}")
    parameters = {name: _text(value) for name, value in ask.parameters.items()}
    for name, value in parameters.items():
        if not _NAME.match(name) or len(value) > _MAX_VALUE:
            raise invalid(
                "parameters", f"{name[:64]!r}: a name of letters, and a value of at most {_MAX_VALUE} characters"
            )
    if len(ask.id) > _MAX_ID:
        raise invalid("id", f"has at most {_MAX_ID} characters")
    if not ask.template:
        return ask.query, parameters, ask.id
    try:
        template = templates.load(ask.template)
    except UsageError as error:
        raise Refused("NOT_FOUND", "NO_SUCH_TEMPLATE", str(error.message), metadata={"hint": error.hint}) from None
    return template.sql, template.defaults | parameters, ask.id


def _text(value: str | int | float | bool) -> str:
    """A value as ClickHouse's parameters are written: backslash escapes, as in TSV."""
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str):
        return str(value)
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
