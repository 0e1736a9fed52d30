"""A node that lies, by HTTP before a real one: refuses, times out, has no logs, lags, answers out of order."""

from __future__ import annotations

import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import urllib3


class LyingProxy:
    """Passes on what it is asked; with ``rate`` of the requests something goes wrong, by a seeded draw."""

    def __init__(self, target: str, rate: float, seed: int = 0) -> None:
        self.rate, self.told = rate, dict.fromkeys(("429", "hang up", "no logs", "lag", "order", "rubbish"), 0)
        self._chance, self._lock = random.Random(seed), threading.Lock()
        http = urllib3.PoolManager(retries=False)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                lie = proxy._draw()
                if lie == "429":
                    return self._answer(429, b'{"error": "slow down"}')
                if lie == "hang up":
                    self.close_connection = True
                    return None
                if lie == "rubbish":
                    return self._answer(200, b"<html>bad gateway</html>")
                answer = http.request("POST", target, body=body, headers={"Content-Type": "application/json"}).data
                return self._answer(200, proxy._bent(lie, body, answer))

            def _answer(self, status: int, data: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _draw(self) -> str:
        with self._lock:
            lie = self._chance.choice(list(self.told)) if self._chance.random() < self.rate else ""
            if lie:
                self.told[lie] += 1
            return lie

    def _bent(self, lie: str, body: bytes, answer: bytes) -> bytes:
        asked, said = msgspec.json.decode(body), msgspec.json.decode(answer)
        calls = asked if isinstance(asked, list) else [asked]
        answers = said if isinstance(said, list) else [said]
        methods = {call["id"]: call["method"] for call in calls}
        for one in answers:
            method = methods.get(one.get("id"))
            if lie == "no logs" and method == "eth_getLogs" and "result" in one:
                one["result"] = []
            if lie == "lag" and method in ("eth_getBlockByNumber", "eth_blockNumber"):
                one["result"] = None
        if lie == "order":
            answers.reverse()
        return msgspec.json.encode(answers if isinstance(said, list) else answers[0])
