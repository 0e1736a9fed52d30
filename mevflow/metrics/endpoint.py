"""``/metrics`` of one process: a thread that answers when it is asked, and does nothing in between."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from mevflow.metrics import process, targets
from mevflow.metrics.page import Page, Teller
from mevflow.operators.errors import MevflowError

log = logging.getLogger("mevflow.metrics")

#: A scrape that stands still is dropped after so long; more of them at once are refused.
_SILENCE_S, _AT_ONCE = 5.0, 8


class Endpoint:
    """Serves until closed. ``address`` is ``host:port``; other ``pages`` are served beside ``/metrics``, by path.

    ``/ready`` answers 200, or 503 with what ``unready`` says: why the process cannot do its work yet.
    """

    def __init__(
        self,
        labels: Mapping[str, str],
        tellers: list[Teller],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pages: Mapping[str, Callable[[], bytes]] | None = None,
        unready: Callable[[], str] = lambda: "",
    ) -> None:
        """``labels`` are put on every value. Raises MevflowError when the address cannot be had."""
        self._labels, self.tellers = dict(labels), [process.tell, *tellers]
        served = {"/metrics": self.page, **(pages or {})}
        slots = threading.Semaphore(_AT_ONCE)
        handler = type("Handler", (_Handler,), {"pages": served, "slots": slots, "unready": staticmethod(unready)})
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise MevflowError(
                f"metrics cannot be served at {host}:{port}: {error.strerror}",
                hint="MEVFLOW_METRICS__PORT=0 takes a free port",
            ) from error
        self.address = f"{host}:{self._server.server_address[1]}"
        self._joined: tuple[Path, targets.Target] | None = None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def page(self) -> bytes:
        """What a scrape gets."""
        page = Page(self._labels)
        for tell in self.tellers:
            tell(page)
        return page.text()

    def join(self, var: Path, job: str) -> Endpoint:
        """Let Prometheus find it by ``<var>/prometheus/targets.json``; a disk that is full is no reason to die."""
        try:
            self._joined = (var, targets.join(var, self.address, {"job": job, **self._labels}))
        except (OSError, MevflowError) as error:
            log.warning("Prometheus will not find this process: %s", error)
        return self

    def close(self) -> None:
        """Stop serving, and take it out of the file."""
        self._server.shutdown()
        self._server.server_close()
        if self._joined is not None:
            with contextlib.suppress(OSError, MevflowError):
                targets.leave(*self._joined)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    pages: Mapping[str, Callable[[], bytes]]
    slots: threading.Semaphore
    unready: Callable[[], str]
    timeout = _SILENCE_S
    server_version, sys_version = "mevflow", ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        make = self.pages.get(path)
        if path == "/ready":
            why = self.unready()
            self._answer(503 if why else 200, f"{why or 'ready'}\n".encode(), "text/plain; charset=utf-8")
        elif make is None:
            self._answer(404, b"/metrics and /ready are here\n", "text/plain; charset=utf-8")
        elif not self._expected():
            self._answer(403, b"this address answers to its own name only\n", "text/plain; charset=utf-8")
        elif not self.slots.acquire(blocking=False):
            self._answer(503, b"too many scrapes at once\n", "text/plain; charset=utf-8")
        else:
            try:
                self._answer(200, make(), CONTENT_TYPE_LATEST)
            except Exception:
                log.exception("a page of metrics cannot be made")
                self._answer(500, b"the page cannot be made; the log says why\n", "text/plain; charset=utf-8")
            finally:
                self.slots.release()

    def _expected(self) -> bool:
        """On loopback: whether the request names loopback, which a web page's request for another name does not."""
        if not ipaddress.ip_address(self.client_address[0]).is_loopback:
            return True
        name = self.headers.get("Host", "").rpartition(":")[0].strip("[]") or self.headers.get("Host", "")
        if name == "localhost":
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not logged."""
