"""One Ethereum node over JSON-RPC 2.0: batches of calls by HTTP, bounded in bytes and time.

What goes wrong is told apart by what to do about it: ask another node (:class:`NodeError`), or ask for less or
something else (:class:`CallError`). What providers write in their messages is never parsed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import urllib3
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mevflow.operators.errors import MevflowError

#: A block's logs are some MiB at most; a node that sends more is not believed.
MAX_ANSWER_BYTES = 256 << 20


class NodeError(MevflowError):
    """The node does not answer as one should: unreachable, refusing, too slow, no JSON-RPC. Ask another."""


class CallError(MevflowError):
    """The node answered a call with an error: its range is too large, it reverted, it knows no such method."""


class EndpointSettings(BaseModel):
    """A node, and how much may be asked of it.

    ``url`` is HTTP, ``ws`` a WebSocket that rings for new blocks. ``max_rps`` is calls a second, ``max_range`` blocks
    in one ``eth_getLogs``, ``max_batch`` calls in one HTTP request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str
    ws: str | None = None
    max_rps: float = Field(50.0, gt=0)
    max_range: int = Field(2_000, ge=1)
    max_batch: int = Field(100, ge=1, le=1_000)
    timeout_s: float = Field(20.0, gt=0)

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("an address of http:// or https://")
        return value


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


_ANSWERS = msgspec.json.Decoder(list[_Answer] | _Answer)


@dataclass
class RpcNode:
    """A connection to one node, used by one thread. Counters say what was asked and what went wrong."""

    settings: EndpointSettings
    calls: int = 0
    failures: int = 0
    bytes_read: int = 0
    _budget: float = 1.0
    _since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._http = urllib3.PoolManager(
            maxsize=1, timeout=urllib3.Timeout(self.settings.timeout_s), retries=False, headers=_HEADERS
        )

    @property
    def name(self) -> str:
        """Scheme, host and port: a path or a query may hold a key."""
        return urllib3.util.parse_url(self.settings.url)._replace(auth=None, path=None, query=None, fragment=None).url

    def call(self, method: str, *params: Any) -> msgspec.Raw:
        """One call's result as JSON. Raises NodeError, CallError."""
        (result,) = self.batch([(method, params)])
        if isinstance(result, CallError):
            raise result
        return result

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[msgspec.Raw | CallError]:
        """Results in the order of ``calls``; a call that failed by itself is its CallError. Raises NodeError."""
        found: list[msgspec.Raw | CallError] = []
        for at in range(0, len(calls), self.settings.max_batch):
            found += self._request(calls[at : at + self.settings.max_batch])
        return found

    def close(self) -> None:
        """Let go of the connection."""
        self._http.clear()

    def _request(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[msgspec.Raw | CallError]:
        self._wait(len(calls))
        self.calls += len(calls)
        body = msgspec.json.encode(
            [
                {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
                for i, (method, params) in enumerate(calls)
            ]
            if len(calls) > 1
            else {"jsonrpc": "2.0", "id": 0, "method": calls[0][0], "params": calls[0][1]}
        )
        try:
            answers = self._post(body)
        except NodeError:
            self.failures += 1
            raise
        by_id = {answer.id: answer for answer in answers}
        found: list[msgspec.Raw | CallError] = []
        for i, (method, _) in enumerate(calls):
            answer = by_id.get(i)
            if answer is None:
                self.failures += 1
                raise NodeError(f"{method} was not answered", key=self.name)
            if answer.error is not None:
                found.append(CallError(f"{method}: {answer.error.message[:200]} ({answer.error.code})", key=self.name))
            else:
                found.append(answer.result)
        return found

    def _post(self, body: bytes) -> list[_Answer]:
        data = bytearray()
        ends = time.monotonic() + 2 * self.settings.timeout_s
        try:
            answer = self._http.request("POST", self.settings.url, body=body, preload_content=False)
            try:
                for chunk in answer.stream(1 << 20, decode_content=True):
                    data += chunk
                    if len(data) > MAX_ANSWER_BYTES or time.monotonic() > ends:
                        answer.close()
                        break
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as wrong:
            raise NodeError(f"does not answer: {type(wrong).__name__}", key=self.name) from wrong
        self.bytes_read += len(data)
        if len(data) > MAX_ANSWER_BYTES:
            raise NodeError(f"answered with more than {MAX_ANSWER_BYTES >> 20} MiB", key=self.name)
        if time.monotonic() > ends:
            raise NodeError(f"had not sent its answer after {2 * self.settings.timeout_s:g} s", key=self.name)
        if answer.status != 200:
            raise NodeError(f"answered HTTP {answer.status}", key=self.name)
        try:
            decoded = _ANSWERS.decode(bytes(data))
        except msgspec.DecodeError as wrong:
            raise NodeError(f"answered what is no JSON-RPC: {wrong}", key=self.name) from wrong
        answers = decoded if isinstance(decoded, list) else [decoded]
        refused = next((one.error for one in answers if one.error is not None and one.error.code in _REFUSED), None)
        if refused is not None:
            raise NodeError(f"refuses calls for now ({refused.code})", key=self.name)
        return answers

    def _wait(self, calls: int) -> None:
        """Keep to ``max_rps``, a second's worth at once at most."""
        now = time.monotonic()
        rate = self.settings.max_rps
        self._budget = min(rate, self._budget + (now - self._since) * rate)
        self._since = now
        if (short := calls - self._budget) > 0:
            time.sleep(short / rate)
        self._budget -= calls


_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
#: EIP-1474's "limit exceeded", and what providers use for the same.
_REFUSED = frozenset({-32005, -32097, 429})
