"""One HTTP request: judged and taken in on the event loop, run in a thread, answered piece by piece."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.datastructures import Headers

from mevflow.clickhouse.server.bodies import bounded, decompressed, expansion_limit
from mevflow.clickhouse.server.engine import Counts
from mevflow.clickhouse.server.errors import (
    INCORRECT_DATA,
    QUERY_IS_TOO_LARGE,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    UNKNOWN_EXCEPTION,
    ServerError,
    refuse,
)
from mevflow.clickhouse.server.execute import ExternalTable, QueryAnswer, QueryJob
from mevflow.clickhouse.server.multipart import external_tables, parse_form
from mevflow.clickhouse.server.outlet import Outlet
from mevflow.clickhouse.server.replies import Encoder, encoder, exception_block, gather, summary
from mevflow.clickhouse.server.request import Request, parse_request
from mevflow.clickhouse.server.services import Services
from mevflow.clickhouse.server.spool import Spool

log = logging.getLogger("mevflow.clickhouse.server")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HEALTH = ("/ping", "/replicas_status")
_METHODS = ("GET", "HEAD", "POST")
_PLAIN = "text/plain; charset=UTF-8"
_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
}
#: So long, in seconds, an answer is held back for the error that may still come with a status of its own.
_HOLD_S = 0.1
#: After an error in the middle of an answer the connection stays so long, in seconds, unless the client closes it:
#: some clients drop what they have not read yet when they see the end of an answer that is not whole.
_LINGER_S = 0.5


class Handler:
    """The application that uvicorn serves. Threads run statements, as many at once as ``limits.statements``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._slots = threading.Semaphore(services.limits.statements)
        self._threads = ThreadPoolExecutor(services.limits.statements, "statement")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outlet = Outlet(send, asyncio.get_running_loop(), self._services.limits.silence_s)
        try:
            await self._serve(scope, receive, outlet)
        except ServerError as error:
            await self._error(outlet, error)
        except ConnectionError:
            return
        except Exception:
            log.exception("a request failed inside the server")
            await self._error(outlet, refuse(UNKNOWN_EXCEPTION, "the embedded server failed; its log says why"))

    async def _serve(self, scope: Scope, receive: Receive, outlet: Outlet) -> None:
        """Access comes before all else: before the path, the parameters and the body."""
        headers = Headers(scope=scope)
        access = self._services.access
        access.refuse_web_pages(headers)
        method, path = str(scope["method"]), str(scope["path"])
        query = scope["query_string"].decode("latin-1")
        is_health = path in _HEALTH or (path == "/" and (not query or method == "HEAD"))
        if is_health and method in ("GET", "HEAD"):
            await outlet.whole(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
            return
        request = parse_request(method, f"{path}?{query}", headers, {})
        user = access.check(headers, request.raw)
        if method not in _METHODS:
            await outlet.whole(501, f"{method} is not a method of this server\n".encode(), {"Content-Type": _PLAIN})
            return
        if path not in ("/", "/query"):
            text = f"There is no handle {path}\n\nUse / or /ping for health checks.\n".encode()
            await outlet.whole(404, text, {"Content-Type": _PLAIN})
            return
        with Spool(self._services.engine.path) as body:
            await self._take_in(receive, body)
            if not self._slots.acquire(blocking=False):
                raise refuse(TOO_MANY_SIMULTANEOUS_QUERIES, "Too many simultaneous queries")
            leaving = asyncio.ensure_future(outlet.watch(receive))
            work = asyncio.get_running_loop().run_in_executor(
                self._threads, self._work, request, user, headers, body, outlet
            )
            try:
                await asyncio.shield(work)
            finally:
                await asyncio.wait([work])  # the body is the thread's until it ends
                leaving.cancel()
                self._slots.release()

    async def _take_in(self, receive: Receive, body: Spool) -> None:
        """Read the body to its end. Raises ServerError when it is too large, ConnectionError when its sender goes."""
        most = self._services.limits.body_bytes
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionAbortedError("the sender went away in the middle of its request")
            piece = message.get("body", b"")
            if body.size + len(piece) > most:
                raise refuse(QUERY_IS_TOO_LARGE, f"the request body has more than {most} bytes, the server's limit")
            if body.on_disk:
                await asyncio.to_thread(body.write, piece)
            else:
                body.write(piece)
            if not message.get("more_body", False):
                return

    def _work(self, request: Request, user: str, headers: Headers, body: Spool, outlet: Outlet) -> None:
        """In a thread: undo the body's encoding, run the statement, send the answer."""
        encoding = headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity"):
            self._run(request, user, headers, body, outlet)
            return
        with Spool(self._services.engine.path) as plain:
            most = expansion_limit(body.size, self._services.limits.body_bytes)
            for piece in bounded(decompressed(body.pieces(), encoding), most):
                plain.write(piece)
            self._run(request, user, headers, plain, outlet)

    def _run(self, request: Request, user: str, headers: Headers, body: Spool, outlet: Outlet) -> None:
        content_type = headers.get("Content-Type", "")
        tables: list[ExternalTable] = []
        with Spool(self._services.engine.path) as nothing:
            if content_type.lower().startswith("multipart/form-data"):
                most = self._services.limits.form_bytes
                if body.size > most:
                    raise refuse(QUERY_IS_TOO_LARGE, f"the multipart body has more than {most} bytes")
                form, files = parse_form(content_type, body.read(body.size))
                request = parse_request(request.method, request.target, headers, form)
                tables = external_tables(request.raw, files)
                body = nothing
            job = QueryJob(request, user, body, tables, outlet.awaited)
            with self._services.executor.run(job) as answer:
                end = self._answer(request, headers, answer, outlet)
            # Sent when session and query id are free again: its reader may use them at once.
            end()

    def _answer(self, request: Request, headers: Headers, answer: QueryAnswer, outlet: Outlet) -> Callable[[], None]:
        """Send all but the end of the answer; give what sends the end."""
        if request.wait_end:
            held, complete = gather(answer.pieces)
        else:
            held, complete = gather(answer.pieces, request.buffer_bytes, _HOLD_S)
        codec = encoder(headers.get("Accept-Encoding", ""), request.compress)
        tag = secrets.token_hex(8)
        head = self._head(request, answer, codec if held else None, tag)
        if complete:
            whole = codec.feed(held) + codec.finish() if held else b""
            return lambda: outlet.send_whole(200, whole, head)
        outlet.send_head(200, head)
        try:
            outlet.send_piece(codec.feed(held))
            for piece in answer.pieces:
                outlet.send_piece(codec.feed(piece))
        except ServerError as error:
            last = codec.feed(exception_block(tag, self._text(error))) + codec.finish()
            # No last chunk: whoever does not look for the block must notice as well.
            return lambda: outlet.send_broken(last, _LINGER_S)
        return lambda: outlet.send_end(codec.finish())

    def _head(self, request: Request, answer: QueryAnswer, codec: Encoder | None, tag: str) -> dict[str, str]:
        headers = {
            "Content-Type": _TYPES.get(answer.format, _PLAIN),
            "X-ClickHouse-Server-Display-Name": "mevflow",
            "X-ClickHouse-Query-Id": request.query_id,
            "X-ClickHouse-Timezone": self._services.engine.timezone,
            "X-ClickHouse-Exception-Tag": tag,
            "X-ClickHouse-Summary": summary(answer.counts),
        }
        if answer.format:
            headers["X-ClickHouse-Format"] = answer.format
        if codec is not None and codec.name:
            headers["Content-Encoding"] = codec.name
        return headers

    def _text(self, error: ServerError) -> str:
        return f"{error.text} (version {self._services.engine.version} (embedded))\n"

    async def _error(self, outlet: Outlet, error: ServerError) -> None:
        """An error before the answer began."""
        if outlet.begun:
            return
        headers = {
            "Content-Type": _PLAIN,
            "X-ClickHouse-Exception-Code": str(error.code),
            "X-ClickHouse-Summary": summary(Counts()),
        }
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        if error.code == INCORRECT_DATA:
            headers["Connection"] = "close"
        await outlet.whole(error.status, self._text(error).encode("utf-8", "replace"), headers)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)
