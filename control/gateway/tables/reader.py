"""Reads from ClickHouse over HTTP, read-only and bounded in rows, bytes, time and number.

It speaks HTTP itself: a client library would add settings of its own and substitute parameters in the text.

A query that is not answered within its bound is killed, and its turn is taken until ClickHouse no longer lists it: some
work cannot be interrupted, and whoever asks for it must not be able to start more of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import structlog
import urllib3

from mevflow.clickhouse.tls import connections
from mevflow.control.commands.turns import Turns
from mevflow.control.refusal import Refused
from mevflow.flows.config import ClickHouseConfig

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_EXPLAIN = "EXPLAIN AST "
_PLACE = re.compile(r"(failed at position |\(line 1, col )(\d{1,9})")
_VERSION = re.compile(r" ?\(version [^()]*(?:\([a-z]+\))?\)\.?")
_PIECE = 1 << 16
#: Past a query's own bound, for the answer's way; then it is killed.
_GRACE_S = 2.0
_LOOK_S = 0.25
#: How long the engine's list of functions is good for: it changes when ClickHouse is upgraded.
_FUNCTIONS_S = 60.0

T = TypeVar("T")

log = structlog.get_logger("mevflow.control")
_TAIL = 32 << 10
#: ClickHouse's codes of bounds that were passed.
_BOUNDS = {"158", "159", "160", "241", "307", "396"}


@dataclass(frozen=True, slots=True)
class ReadBounds:
    """Of one answer.

    ``at_once``: answers that are made at the same time, ``each`` of them for one caller; others wait ``patience_s``.
    """

    rows: int = 10_000
    answer_bytes: int = 16 << 20
    seconds: float = 10.0
    memory_bytes: int = 1 << 30
    at_once: int = 4
    each: int = 2
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
            # Between two blocks a query can be ended; within one it cannot.
            "max_block_size": "8192",
            "max_ast_depth": "500",
            "max_ast_elements": "50000",
            "max_expanded_ast_elements": "50000",
            "max_parser_depth": "500",
            "max_parser_backtracks": "100000",
            "max_subquery_depth": "30",
            "max_recursive_cte_evaluation_depth": "100",
            "output_format_json_quote_64bit_integers": "1",
        }


class QueryProgress(msgspec.Struct, frozen=True):
    """``rows_total``: as far as ClickHouse knows it, 0: not."""

    elapsed_s: float
    rows_read: int
    rows_total: int
    bytes_read: int
    memory_bytes: int


_PROGRESS = """SELECT elapsed AS elapsed_s, toFloat64(read_rows) AS rows_read,
       toFloat64(total_rows_approx) AS rows_total, toFloat64(read_bytes) AS bytes_read,
       toFloat64(memory_usage) AS memory_bytes FROM system.processes"""


@dataclass(slots=True)
class _Run:
    """One query. ``mark`` tells it in ClickHouse's list of what runs; ``ended``: ClickHouse is done with it."""

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    sent: bool = False
    ended: bool = False


@dataclass
class ClickHouseReader:
    """Of one ClickHouse. ``bounds`` are of queries; an export brings its own."""

    where: ClickHouseConfig
    bounds: ReadBounds = field(default_factory=ReadBounds)

    def __post_init__(self) -> None:
        self._pool = connections(self.where.host, self.where.port, maxsize=8, block=False, retries=False)
        self._turns: dict[ReadBounds, Turns] = {}
        # Threads of its own: a query that hangs must not take those of everyone else.
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="clickhouse")
        self._functions: tuple[float, frozenset[str]] = (float("-inf"), frozenset())
        self._endings: set[asyncio.Task[None]] = set()

    async def functions(self) -> frozenset[str]:
        """Every function that this ClickHouse has, in lower case. Raises Refused."""
        read, known = self._functions
        if time.monotonic() - read > _FUNCTIONS_S:
            statement = "SELECT DISTINCT lower(name) FROM system.functions"
            many = ReadBounds(rows=100_000, at_once=self.bounds.at_once)
            async with self._turn(self.bounds, "") as run:
                text = await self._whole(statement, "TSVRaw", {}, many, run)
            known = frozenset(text.decode().split())
            self._functions = (time.monotonic(), known)
        return known

    async def explain(
        self,
        statement: str,
        parameters: Mapping[str, str],
        text: Callable[[], None],
        tree: Callable[[str], None],
        caller: str = "",
    ) -> None:
        """Let ``text`` judge a statement, and then ``tree`` what ClickHouse makes of it. Raises Refused.

        Both run in a thread and in the caller's turn: a large statement takes long.
        """
        parsing = ReadBounds(rows=1_000_000, at_once=self.bounds.at_once)
        loop = asyncio.get_running_loop()
        async with self._turn(self.bounds, caller) as run:
            await loop.run_in_executor(self._threads, text)
            try:
                found = (await self._whole(_EXPLAIN + statement, "TSVRaw", parameters, parsing, run)).decode()
            except Refused as refused:
                raise Refused(
                    refused.code,
                    refused.reason,
                    _PLACE.sub(_placed, refused.message),
                    metadata=refused.metadata,
                    retry_after_s=refused.retry_after_s,
                ) from refused
            await loop.run_in_executor(self._threads, tree, found)

    async def read(
        self, statement: str, form: str, parameters: Mapping[str, str], caller: str = "", mark: str = ""
    ) -> bytes:
        """A whole answer; ``caller``: whose turn it is; ``mark``: to ask for its progress by. Raises Refused."""
        async with self._turn(self.bounds, caller, mark) as run:
            return await self._whole(statement, form, parameters, self.bounds, run)

    async def _whole(
        self, statement: str, form: str, parameters: Mapping[str, str], bounds: ReadBounds, run: _Run
    ) -> bytes:
        def work() -> bytes:
            response = self._send(statement, form, parameters, bounds, run)
            try:
                # The engine counts its own bytes; written out as JSON they may be some times more.
                data: bytes = response.read(4 * bounds.answer_bytes)
                if response.read(1):
                    raise _too_much()
                run.ended = True
                return data
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.where) from error
            finally:
                response.release_conn() if response.closed else response.close()

        return await self._within(bounds.seconds + _GRACE_S, work)

    async def _within(self, seconds: float, work: Callable[[], T]) -> T:
        """Do what blocks; Refused when it takes longer. The thread is not waited for then."""
        under_way = asyncio.get_running_loop().run_in_executor(self._threads, work)
        under_way.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(under_way)
        except TimeoutError:
            raise Refused(
                "RESOURCE_EXHAUSTED", "QUERY_TOO_LARGE", f"the query took longer than {seconds:g} s and was killed"
            ) from None

    async def stream(
        self, statement: str, form: str, parameters: Mapping[str, str], bounds: ReadBounds, caller: str = ""
    ) -> AsyncGenerator[bytes, None]:
        """An answer in pieces. Raises Refused, in the middle too."""
        async with self._turn(bounds, caller) as run:
            patience = bounds.seconds + _GRACE_S
            response = await self._within(patience, lambda: self._send(statement, form, parameters, bounds, run))
            tag = response.headers.get("X-ClickHouse-Exception-Tag", "")
            mark = b"__exception__\r\n" + tag.encode() if tag else b""
            tail = b""
            try:
                while piece := await self._within(patience, lambda: response.read(_PIECE)):
                    tail = (tail + piece)[-_TAIL:]
                    if mark and mark in tail:
                        raise Refused("INTERNAL", "QUERY_FAILED", "ClickHouse failed in the middle of the answer")
                    yield piece
                run.ended = True
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.where) from error
            finally:
                response.close()

    async def progress(self, mark: str) -> QueryProgress | None:
        """How far the query of a mark is; None when ClickHouse does not list it (yet, or any more). Raises Refused."""
        statement = f"{_PROGRESS} WHERE Settings['log_comment'] = '{mark}' FORMAT JSONEachRow"

        def work() -> bytes:
            try:
                return self._plain(statement)
            except urllib3.exceptions.HTTPError as error:
                raise _unreachable(self.where) from error

        text = await self._within(5.0 + _GRACE_S, work)
        try:
            return msgspec.json.decode(text, type=QueryProgress) if text.strip() else None
        except msgspec.DecodeError:
            return None

    async def ping(self) -> bool:
        """Whether it answers."""

        def work() -> bool:
            try:
                return bool(self._pool.request("GET", "/ping", timeout=1.0).status == 200)
            except urllib3.exceptions.HTTPError:
                return False

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Let go of the connections."""
        for task in self._endings:
            task.cancel()
        self._pool.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextlib.asynccontextmanager
    async def _turn(self, bounds: ReadBounds, caller: str, mark: str = "") -> AsyncIterator[_Run]:
        turns = self._turns.setdefault(bounds, Turns("queries", bounds.at_once, bounds.each))
        await turns.take(caller, bounds.patience_s)
        run = _Run(mark) if mark else _Run()
        try:
            yield run
        finally:
            if run.sent and not run.ended:
                ending = asyncio.create_task(self._end(run, turns, caller), name="clickhouse-kill")
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)
            else:
                turns.give_back(caller)

    async def _end(self, run: _Run, turns: Turns, caller: str) -> None:
        """Kill what may still run, and give its turn back when ClickHouse no longer knows of it."""
        loop = asyncio.get_running_loop()
        killed = False
        try:
            while await loop.run_in_executor(self._threads, self._lives, run):
                if not killed:
                    log.warning("query_killed", caller=caller, mark=run.mark)
                killed = True
                await asyncio.sleep(_LOOK_S)
        finally:
            turns.give_back(caller)

    def _lives(self, run: _Run) -> bool:
        """Kill a query, and say whether ClickHouse still lists it. One that does not answer at all has nothing left."""
        chosen = f"Settings['log_comment'] = '{run.mark}'"
        try:
            self._plain(f"KILL QUERY WHERE {chosen} ASYNC")
            return self._plain(f"SELECT count() FROM system.processes WHERE {chosen}").strip() != b"0"
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProtocolError):
            return False
        except urllib3.exceptions.HTTPError:
            return True

    def _plain(self, statement: str) -> bytes:
        """The service's own statement; an error's text is its answer."""
        response = self._pool.urlopen("POST", "/", body=statement.encode(), headers=self._user(), timeout=5.0)
        data: bytes = response.data
        return data

    def _user(self) -> dict[str, str]:
        return {"X-ClickHouse-User": self.where.user, "X-ClickHouse-Key": self.where.password.get_secret_value()}

    def _send(
        self, statement: str, form: str, parameters: Mapping[str, str], bounds: ReadBounds, run: _Run
    ) -> urllib3.BaseHTTPResponse:
        """Send a statement; the answer has begun and is good. Raises Refused."""
        query = {
            "database": self.where.database,
            "default_format": form,
            **bounds.settings(),
            "log_comment": run.mark,
            **{f"param_{name}": value for name, value in parameters.items()},
        }
        run.sent = True
        try:
            response = self._pool.urlopen(
                "POST",
                "/?" + urlencode(query),
                body=statement.encode(),
                headers=self._user(),
                timeout=urllib3.Timeout(connect=2.0, read=bounds.seconds + 5.0),
                preload_content=False,
            )
            if response.status == 200:
                return response
            said = response.read(8192).decode(errors="replace")
            response.close()
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(self.where) from error
        run.ended = True
        raise _failed(said)


def _placed(found: re.Match[str]) -> str:
    """Where in the caller's text something is wrong, not where in what ClickHouse was sent."""
    return f"{found[1]}{int(found[2]) - len(_EXPLAIN)}"


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
