"""One HTTP request from its first byte to its last."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, cast

from mevflow.clickhouse.server import bodies
from mevflow.clickhouse.server.engine import Counts
from mevflow.clickhouse.server.errors import (
    BAD_ARGUMENTS,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    UNKNOWN_EXCEPTION,
    ServerError,
    refuse,
)
from mevflow.clickhouse.server.execute import Answer, ExternalTable
from mevflow.clickhouse.server.multipart import external_tables, parse_form
from mevflow.clickhouse.server.replies import ChunkWriter, Encoder, encoder, gather
from mevflow.clickhouse.server.request import Request, parse_request

if TYPE_CHECKING:
    from mevflow.clickhouse.server.listener import Listener

log = logging.getLogger("mevflow.clickhouse.server")

_HEALTH = ("/ping", "/replicas_status")
_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
}


class Handler(BaseHTTPRequestHandler):
    """Serves one connection, request by request (HTTP/1.1 keep-alive)."""

    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"
    sys_version = ""
    rbufsize = 1 << 16
    wbufsize = 1 << 16
    timeout = 300  # seconds that a connection may be silent
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    @property
    def listener(self) -> Listener:
        return cast("Listener", self.server)

    def _serve(self) -> None:
        path = self.path.partition("?")[0]
        if path in _HEALTH or (
            path == "/" and ("?" not in self.path or self.command == "HEAD") and self.command != "POST"
        ):
            self._whole(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
            return
        if path not in ("/", "/query"):
            self._whole(404, f"There is no handle {path}\n\nUse / or /ping for health checks.\n".encode(), {})
            return
        if not self.listener.slots.acquire(blocking=False):
            self._error(refuse(TOO_MANY_SIMULTANEOUS_QUERIES, "Too many simultaneous queries"))
            return
        try:
            self._query()
        except ServerError as error:
            self._error(error)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            log.exception("a request failed inside the server")
            self._error(refuse(UNKNOWN_EXCEPTION, "the embedded server failed; its log says why"))
        finally:
            self.listener.slots.release()

    def _query(self) -> None:
        body = self._body()
        form: dict[str, str] = {}
        files: dict[str, bytes] = {}
        user = ""
        content_type = self.headers.get("Content-Type", "")
        if content_type.lower().startswith("multipart/form-data"):
            # Fields of the body may hold the password's rival parameters, so the headers alone must pass first.
            user = self.listener.access.check(
                self.headers, parse_request(self.command, self.path, self.headers, {}).raw
            )
            form, files = parse_form(content_type, b"".join(body))
            body = iter(())
        request = parse_request(self.command, self.path, self.headers, form)
        user = user or self.listener.access.check(self.headers, request.raw)
        tables: list[ExternalTable] = external_tables(request.raw, files)
        with self.listener.executor.run(request, user, body, tables) as answer:
            self._answer(request, answer)
        for _ in body:  # what a statement left unread would be taken for the next request
            pass

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            arriving = bodies.chunked(self.rfile)
        else:
            try:
                length = int(self.headers.get("Content-Length", "0"))
            except ValueError:
                length = -1
            if length < 0:
                self.close_connection = True
                raise refuse(BAD_ARGUMENTS, "Content-Length is not a number")
            arriving = bodies.sized(self.rfile, length)
        plain = bodies.decompressed(arriving, self.headers.get("Content-Encoding", "").strip().lower())
        return bodies.bounded(plain, self.listener.max_body_bytes)

    def _answer(self, request: Request, answer: Answer) -> None:
        held, complete = gather(answer.pieces, (1 << 62) if request.wait_end else request.buffer_bytes)
        codec = encoder(self.headers.get("Accept-Encoding", ""), request.compress)
        headers = self._headers(request, answer, codec)
        if complete:
            self._whole(200, codec.feed(held) + codec.finish() if held else b"", headers if held else _plain(headers))
            return
        tag = headers["X-ClickHouse-Exception-Tag"]
        self._start(200, {**headers, "Transfer-Encoding": "chunked"})
        writer = ChunkWriter(self, codec)
        try:
            writer.write(held)
            for piece in answer.pieces:
                writer.write(piece)
        except ServerError as error:
            writer.fail(tag, self._text(error))
            self.close_connection = True
            return
        writer.end()

    def _headers(self, request: Request, answer: Answer, codec: Encoder) -> dict[str, str]:
        headers = {
            "Content-Type": _TYPES.get(answer.format, "text/plain; charset=UTF-8"),
            "X-ClickHouse-Server-Display-Name": "mevflow",
            "X-ClickHouse-Query-Id": request.query_id,
            "X-ClickHouse-Format": answer.format,
            "X-ClickHouse-Timezone": self.listener.engine.timezone,
            "X-ClickHouse-Exception-Tag": secrets.token_hex(8),
            "X-ClickHouse-Summary": summary(answer.counts),
        }
        if codec.name:
            headers["Content-Encoding"] = codec.name
        return headers

    def _text(self, error: ServerError) -> str:
        return f"{error.text} (version {self.listener.engine.version} (embedded))\n"

    def _error(self, error: ServerError) -> None:
        """An error before the answer began. What is left of the body is not read: the connection ends."""
        self.close_connection = True
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "Connection": "close",
            "X-ClickHouse-Exception-Code": str(error.code),
            "X-ClickHouse-Summary": summary(Counts()),
        }
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        try:
            self._whole(error.status, self._text(error).encode("utf-8", "replace"), headers)
        except OSError:
            log.debug("the client went away before its error")

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        self.end_headers()

    def _whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._start(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


def summary(counts: Counts) -> str:
    """The X-ClickHouse-Summary header; ClickHouse writes its numbers as text."""
    return json.dumps(
        {
            "read_rows": str(counts.read_rows),
            "read_bytes": str(counts.read_bytes),
            "written_rows": str(counts.written_rows),
            "written_bytes": str(counts.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(counts.result_rows or counts.written_rows),
            "result_bytes": str(counts.result_bytes or counts.written_bytes),
            "elapsed_ns": str(counts.elapsed_ns),
        },
        separators=(",", ":"),
    )


def _plain(headers: dict[str, str]) -> dict[str, str]:
    """An empty body has no encoding."""
    return {name: value for name, value in headers.items() if name != "Content-Encoding"}
