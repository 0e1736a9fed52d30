"""Servers of ``bench stacks`` that answer an empty status call: ``python -m mevflow.bench.stack_server``.

Arguments: a stack's name. Prints the port once it listens; ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_SERVICE, _METHOD, _ANSWER = "mevflow.v1.Control", "Status", b"x" * 200


def _handlers(behaviour: Callable[[bytes, Any], Any]) -> Any:
    import grpc

    return grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: grpc.unary_unary_rpc_method_handler(behaviour)})


async def _grpc_aio() -> int:
    import grpc

    async def status(request: bytes, context: Any) -> bytes:
        return _ANSWER

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handlers(status),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _KEPT.append(server)
    return int(port)


async def _grpc_threads() -> int:
    import grpc

    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handlers(lambda request, context: _ANSWER),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _KEPT.append(server)
    return int(port)


async def _http(parser: str) -> int:
    import socket

    import uvicorn

    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % len(_ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _ANSWER})

    # Named as TCP, or asyncio does not switch Nagle's algorithm off: head and body are two writes.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(application, http=parser, lifespan="off", access_log=False, log_level="error")
    _KEPT.append(asyncio.create_task(uvicorn.Server(config).serve([listening])))
    return int(listening.getsockname()[1])


#: What must not be collected while it serves.
_KEPT: list[Any] = []
#: What serves, and whether its event loop is uvloop's.
STACKS: dict[str, tuple[Callable[[], Coroutine[Any, Any, int]], bool]] = {
    "gRPC, grpc.aio on asyncio": (_grpc_aio, False),
    "gRPC, grpc.aio on uvloop": (_grpc_aio, True),
    "gRPC, grpc with 4 threads": (_grpc_threads, False),
    "HTTP, uvicorn with h11 on asyncio": (lambda: _http("h11"), False),
    "HTTP, uvicorn with httptools on asyncio": (lambda: _http("httptools"), False),
    "HTTP, uvicorn with httptools on uvloop": (lambda: _http("httptools"), True),
}


async def _serve(start: Callable[[], Coroutine[Any, Any, int]]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    print(await start(), flush=True)
    threading.Thread(target=watch, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    import uvloop

    begin, fast = STACKS[sys.argv[1]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast else None) as runner:
        runner.run(_serve(begin))
