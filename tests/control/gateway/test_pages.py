"""The dashboard's files as the gateway serves them: what is there, what is not, and the policy they come under."""

import asyncio

import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette

from mevflow.control.gateway.door import pages
from tests.control.gateway.conftest import Client


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>mevflow</title>")
    (tmp_path / "assets" / "index-1a2b.js").write_text("export {}")
    (tmp_path / "secret").write_text("not an asset")
    return tmp_path


@pytest_asyncio.fixture(loop_scope="session")
async def fetch(folder):
    """Ask a server of the folder's files."""
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=pages.routes(folder)), port=0, lifespan="off", log_config=None)
    )
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    client = Client(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    yield lambda path: client("GET", path)
    server.should_exit = True
    await running


@pytest.mark.parametrize("path", ["/", "/overview", "/decisions/00ff", "/opportunities?chain=ethereum"])
async def test_a_page_is_the_program_under_a_strict_policy(fetch, path):
    reply = await fetch(path)
    assert (reply.status, b"mevflow" in reply.raw) == (200, True)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["cache-control"] == "no-cache"


async def test_assets_are_kept_for_good_and_come_under_the_policy(fetch):
    reply = await fetch("/assets/index-1a2b.js")
    assert reply.status == 200
    assert "immutable" in reply.headers["cache-control"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == pages.POLICY


@pytest.mark.parametrize("path", ["/assets/..%2fsecret", "/assets/%2e%2e/secret", "/secret", "/none", "/assets/no.js"])
async def test_nothing_else_is_served(fetch, path):
    assert (await fetch(path)).status == 404


async def test_what_is_not_built_says_how(fetch, folder):
    (folder / "index.html").unlink()
    (folder / "assets" / "index-1a2b.js").unlink()
    (folder / "assets").rmdir()
    reply = await fetch("/")
    assert reply.status == 503
    assert b"make web" in reply.raw
    assert (await fetch("/assets/index-1a2b.js")).status == 404


async def test_the_gateway_serves_it_without_a_token_and_its_data_with_one(call):
    page = await call("GET", "/", token="")
    assert page.status in (200, 503)  # 503: not built here
    assert page.headers["content-security-policy"] == pages.POLICY
    client = type(call)(call.address)
    assert (await client("GET", "/api/control/status")).status == 401
