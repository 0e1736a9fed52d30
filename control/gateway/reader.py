"""Reads from ClickHouse over HTTP, read-only and bounded in rows, bytes, time and number.

It speaks HTTP itself: a client library would add settings of its own and substitute parameters in the text.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import urllib3

from mevflow.control.server.refusal import Refused
from mevflow.flows.config import ClickHouseConfig

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_VERSION = re.compile(r"\s*\(version [^()]*(?:\([a-z]+\))?\)\.?")
_PIECE = 1 << 16
_TAIL = 32 << 10
#: ClickHouse's codes of bounds that were passed.
_BOUNDS = {"158", "159", "160", "241", "307", "396"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one answer. ``at_once``: answers that are made at the same time; others wait ``patience_s``."""

    rows: int = 10_000
    answer_bytes: int = 16 << 20
    seconds: float = 10.0
    memory_bytes: int = 1 << 30
    at_once: int = 4
    patience_s: float = 2.0

    def settings(self) -> dict[str, str]:
        """ClickHouse's settings for them; one row more than asked for shows that there was more."""
        return {
            "readonly": "1",
            "limit": str(self.rows + 1),
            "max_result_rows": str(self.rows + 1),
            "max_result_bytes": str(self.answer_bytes),
            "result_overflow_mode": "throw",
            "max_execution_time": f"{self.seconds:g}",
            "timeout_overflow_mode": "throw",
            "max_memory_usage": str(self.memory_bytes),
            "max_threads": "2",
            "output_format_json_quote_64bit_integers": "1",
        }


@dataclass
class Reader:
    """Of one ClickHouse. ``bounds`` are of queries; an export brings its own."""

    where: ClickHouseConfig
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        self._pool = urllib3.HTTPConnectionPool(self.where.host, self.where.port, maxsize=8, block=False, retries=False)
        self._turns: dict[Bounds, asyncio.Semaphore] = {}

    async def explain(self, statement: str, parameters: Mapping[str, str]) -> str:
        """ClickHouse's tree of a statement. Raises Refused."""
        parsing = Bounds(rows=1_000_000, at_once=self.bounds.at_once)
        async with self._turn(self.bounds):
            return (await self._whole("EXPLAIN AST " + statement, "TSVRaw", parameters, parsing)).decode()

    async def read(self, statement: str, form: str, parameters: Mapping[str, str]) -> bytes:
        """A whole answer. Raises Refused."""
        async with self._turn(self.bounds):
            return await self._whole(statement, form, parameters, self.bounds)

    async def _whole(self, statement: str, form: str, parameters: Mapping[str, str], bounds: Bounds) -> bytes:
        def work() -> bytes:
            response = self._send(statement, form, parameters, bounds)
            try:
                # The engine counts its own bytes; written out as JSON they may be some times more.
                data: bytes = response.read(4 * bounds.answer_bytes)
                if response.read(1):
                    raise _too_much()
                return data
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.where) from error
            finally:
                response.release_conn() if response.closed else response.close()

        return await asyncio.to_thread(work)

    async def stream(
        self, statement: str, form: str, parameters: Mapping[str, str], bounds: Bounds
    ) -> AsyncIterator[bytes]:
        """An answer in pieces. Raises Refused, in the middle too."""
        async with self._turn(bounds):
            response = await asyncio.to_thread(self._send, statement, form, parameters, bounds)
            tag = response.headers.get("X-ClickHouse-Exception-Tag", "")
            mark = b"__exception__\r\n" + tag.encode() if tag else b""
            tail = b""
            try:
                while piece := await asyncio.to_thread(response.read, _PIECE):
                    tail = (tail + piece)[-_TAIL:]
                    if mark and mark in tail:
                        raise Refused("INTERNAL", "QUERY_FAILED", "ClickHouse failed in the middle of the answer")
                    yield piece
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.where) from error
            finally:
                response.close()

    async def ping(self) -> bool:
        """Whether it answers."""

        def work() -> bool:
            try:
                return bool(self._pool.request("GET", "/ping", timeout=1.0).status == 200)
            except urllib3.exceptions.HTTPError:
                return False

        return await asyncio.to_thread(work)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    @contextlib.asynccontextmanager
    async def _turn(self, bounds: Bounds) -> AsyncIterator[None]:
        turns = self._turns.setdefault(bounds, asyncio.Semaphore(bounds.at_once))
        try:
            async with asyncio.timeout(bounds.patience_s):
                await turns.acquire()
        except TimeoutError:
            raise Refused(
                "RESOURCE_EXHAUSTED", "TOO_MANY_QUERIES", "too many queries are under way", retry_after_s=1.0
            ) from None
        try:
            yield
        finally:
            turns.release()

    def _send(
        self, statement: str, form: str, parameters: Mapping[str, str], bounds: Bounds
    ) -> urllib3.BaseHTTPResponse:
        """Send a statement; the answer has begun and is good. Raises Refused."""
        query = {
            "database": self.where.database,
            "default_format": form,
            **bounds.settings(),
            **{f"param_{name}": value for name, value in parameters.items()},
        }
        headers = {"X-ClickHouse-User": self.where.user, "X-ClickHouse-Key": self.where.password.get_secret_value()}
        try:
            response = self._pool.urlopen(
                "POST",
                "/?" + urlencode(query),
                body=statement.encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=2.0, read=bounds.seconds + 5.0),
                preload_content=False,
            )
            if response.status == 200:
                return response
            said = response.read(8192).decode(errors="replace")
            response.close()
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(self.where) from error
        raise _failed(said)


def _failed(said: str) -> Refused:
    """What ClickHouse said, without its version and without more than a caller needs."""
    code = found[1] if (found := _CODE.search(said)) else "0"
    text = _VERSION.sub("", _CODE.sub("", said)).strip() or "ClickHouse refused the query"
    if code in _BOUNDS:
        return Refused("RESOURCE_EXHAUSTED", "QUERY_TOO_LARGE", text[:500], metadata={"clickhouse_code": code})
    if code in ("192", "193", "194", "516"):
        return Refused("UNAVAILABLE", "CLICKHOUSE_REFUSES", "ClickHouse refuses the service's own user")
    return Refused("INVALID_ARGUMENT", "QUERY_FAILED", text[:500], metadata={"clickhouse_code": code})


def _too_much() -> Refused:
    return Refused("RESOURCE_EXHAUSTED", "QUERY_TOO_LARGE", "the answer is too large; ask for less, or export")


def _unreachable(where: ClickHouseConfig) -> Refused:
    return Refused(
        "UNAVAILABLE",
        "CLICKHOUSE_UNREACHABLE",
        f"no ClickHouse answers at {where.host}:{where.port}",
        retry_after_s=2.0,
    )
