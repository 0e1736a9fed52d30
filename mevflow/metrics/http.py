"""Requests of an ASGI application: how many by status, how long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import BOUNDS
from mevflow.metrics.page import Page

_Message = MutableMapping[str, Any]
App = Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]


class HttpMeter:
    """Wraps ``app``. A request that gets no answer counts as 499: its caller went away, or was hung up on."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._codes: Counter[int] = Counter()
        self._seconds = Buckets(BOUNDS["mevflow_http_request_seconds"])

    async def __call__(self, scope: _Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code, began = 499, time.perf_counter()

        async def noting(message: _Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = int(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._codes[code] += 1
            self._seconds.observe(time.perf_counter() - began)

    def tell(self, page: Page) -> None:
        """Put requests by status, and their time."""
        for code, count in list(self._codes.items()):
            page.put("mevflow_http_requests", count, code=code)
        page.put("mevflow_http_request_seconds", self._seconds)
