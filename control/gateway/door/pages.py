"""The dashboard's files at ``/``: built ones only, under a policy that lets nothing from elsewhere in.

The files hold no data and need no login; what they show comes from ``/api``, which asks for one.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from mevflow.web import DIST

#: Pages that the address bar may name; the program in the page shows them.
NAMES = (
    "overview",
    "topologies",
    "opportunities",
    "decisions",
    "learning",
    "control",
    "messages",
    "sql",
    "replays",
    "services",
    "lab",
)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>mevflow</title>
<h1>The dashboard is not built</h1>
<p>Run <code>make web</code> in the checkout; the gateway need not be restarted.</p>
<p>The endpoints are there: <a href="/api/openapi.json">/api/openapi.json</a>.</p></html>"""


def routes(folder: Path = DIST) -> list[Route | Mount]:
    """``/``, one route a page, and the files that they load."""

    async def page(request: Request) -> Response:
        index = folder / "index.html"
        if not index.is_file():
            return HTMLResponse(_NOT_BUILT, 503, {**HEADERS, "cache-control": "no-store"})
        return FileResponse(index, 200, {**HEADERS, "cache-control": "no-cache"}, "text/html; charset=utf-8")

    return [
        Route("/", page, methods=["GET"]),
        *(Route(f"/{name}{rest}", page, methods=["GET"]) for name in NAMES for rest in ("", "/{rest:path}")),
        Mount("/assets", _Assets(directory=folder / "assets", check_dir=False)),
    ]


class _Assets(StaticFiles):
    """Files whose names change with their content."""

    async def check_config(self) -> None:
        """The folder may be built while the gateway runs."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response
