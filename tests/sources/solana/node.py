"""A Solana node of a test's own: Geyser's ``Subscribe`` over gRPC and JSON-RPC over HTTP, both of one small chain."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import base58
import grpc
import msgspec

from mevflow.operators.accounts import registry
from mevflow.v1 import geyser_pb2 as geyser
from tests.operators.parse.solana.messages import anchor
from tests.operators.parse.solana.transactions import ACCOUNTS, Recorded, traded

TIME_S = 1_700_000_000
POOL = ACCOUNTS[2]


def hash_of(slot: int, version: str = "") -> str:
    return f"hash-{slot}{version}"


@dataclass
class NodeBlock:
    """A block with one Whirlpool swap for each of ``amounts``; amount 0 is one that failed."""

    slot: int
    parent: int
    amounts: tuple[int, ...] = ()
    version: str = ""
    parent_version: str = ""

    def documents(self) -> list[dict[str, Any]]:
        """As ``getBlock`` gives them."""
        found = []
        for amount in self.amounts:
            document = Recorded().call(registry.WHIRLPOOL, anchor("global", "swap"), traded(POOL, amount)).document()
            signature = self.slot.to_bytes(32, "little") + amount.to_bytes(32, "little")
            document["transaction"]["signatures"] = [base58.b58encode(signature).decode()]
            if not amount:
                document["meta"]["err"] = {"InstructionError": [0, {"Custom": 1}]}
            found.append(document)
        return found

    def answer(self) -> dict[str, Any]:
        """What ``getBlock`` answers."""
        return {
            "blockTime": TIME_S + self.slot,
            "blockhash": hash_of(self.slot, self.version),
            "previousBlockhash": hash_of(self.parent, self.parent_version),
            "parentSlot": self.parent,
            "transactions": self.documents(),
        }

    def transactions(self) -> list[geyser.SubscribeUpdate]:
        """As the stream gives them, the last first; ones that failed are left out."""
        found = []
        for index, document in enumerate(self.documents()):
            if document["meta"]["err"] is not None:
                continue
            message, meta = document["transaction"]["message"], document["meta"]
            told = geyser.TransactionInfo(
                signature=base58.b58decode(document["transaction"]["signatures"][0]),
                index=index,
                transaction=geyser.Transaction(
                    message=geyser.TransactionMessage(
                        account_keys=[base58.b58decode(key) for key in message["accountKeys"]],
                        instructions=[
                            geyser.Instruction(
                                program_id_index=one["programIdIndex"],
                                accounts=bytes(one["accounts"]),
                                data=base58.b58decode(one["data"]),
                            )
                            for one in message["instructions"]
                        ],
                    )
                ),
                meta=geyser.TransactionMeta(log_messages=meta["logMessages"]),
            )
            found.append(geyser.SubscribeUpdate(transaction=geyser.TransactionUpdate(transaction=told, slot=self.slot)))
        return found[::-1]

    def end(self) -> geyser.SubscribeUpdate:
        """The block's own message."""
        return geyser.SubscribeUpdate(
            block_meta=geyser.BlockMetaUpdate(
                slot=self.slot,
                blockhash=hash_of(self.slot, self.version),
                block_time=geyser.BlockTime(timestamp=TIME_S + self.slot),
                parent_slot=self.parent,
                parent_blockhash=hash_of(self.parent, self.parent_version),
            )
        )

    def updates(self) -> list[geyser.SubscribeUpdate]:
        """All that the stream gives of it."""
        return [*self.transactions(), self.end()]


def status(slot: int, said: geyser.SlotStatus) -> geyser.SubscribeUpdate:
    """What became of a slot."""
    return geyser.SubscribeUpdate(slot=geyser.SlotUpdate(slot=slot, status=said))


def slot_of(update: geyser.SubscribeUpdate) -> int:
    """The slot that an update is of."""
    return int(getattr(update, update.WhichOneof("update")).slot)


@dataclass
class Node:
    """``said`` is the stream so far, and :meth:`say` adds to it. What goes wrong is set by a test.

    ``first``: the stream does not go back behind this slot. ``hangs_up``: so many updates are given a call.
    ``blocks`` are what JSON-RPC has as confirmed. ``token``: what ``x-token`` must be.
    """

    said: list[geyser.SubscribeUpdate] = field(default_factory=list)
    blocks: dict[int, NodeBlock] = field(default_factory=dict)
    accounts: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    first: int = 0
    hangs_up: int | None = None
    token: str = ""
    pings: int = 0
    account_slot: int = 0
    asked: list[int | None] = field(default_factory=list)
    pongs: list[int] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._more = threading.Condition()
        self._closed = False
        self._grpc = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            "Subscribe": grpc.stream_stream_rpc_method_handler(
                self._subscribe, geyser.SubscribeRequest.FromString, geyser.SubscribeUpdate.SerializeToString
            ),
            "GetVersion": grpc.unary_unary_rpc_method_handler(
                lambda request, context: self._allowed(context) or geyser.GetVersionReply(version='{"version":"9.9"}'),
                geyser.GetVersionRequest.FromString,
                geyser.GetVersionReply.SerializeToString,
            ),
            "SubscribeReplayInfo": grpc.unary_unary_rpc_method_handler(
                lambda request, context: geyser.ReplayInfoReply(first_available=self.first),
                geyser.ReplayInfoRequest.FromString,
                geyser.ReplayInfoReply.SerializeToString,
            ),
        }
        self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("geyser.Geyser", handlers),))
        self.url = f"grpc://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.rpc = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        with self._more:
            self._closed = True
            self._more.notify_all()
        self._grpc.stop(0)
        self._http.shutdown()
        self._http.server_close()

    def say(self, *updates: geyser.SubscribeUpdate) -> None:
        """Stream more."""
        with self._more:
            self.said += updates
            self._more.notify_all()

    def _allowed(self, context: Any) -> None:
        if self.token and dict(context.invocation_metadata()).get("x-token") != self.token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid auth token")

    def _subscribe(self, requests: Iterator[geyser.SubscribeRequest], context: Any) -> Iterator[geyser.SubscribeUpdate]:
        self._allowed(context)
        wanted = next(requests)
        from_slot = wanted.from_slot if wanted.HasField("from_slot") else None
        at, given = (0 if from_slot is not None else len(self.said)), 0
        self.asked.append(from_slot)
        threading.Thread(target=self._listen, args=(requests,), daemon=True).start()
        if from_slot is not None and from_slot < self.first:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, f"from_slot {from_slot} is not available")
        for _ in range(self.pings):
            yield geyser.SubscribeUpdate(ping=geyser.PingUpdate())
        while context.is_active():
            with self._more:
                if at == len(self.said) and not self._closed:
                    self._more.wait(0.05)
                if self._closed:
                    return
                ready, at = self.said[at:], len(self.said)
            for update in ready:
                if from_slot is not None and slot_of(update) < from_slot:
                    continue
                if given == self.hangs_up:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "upstream is gone")
                given += 1
                yield update

    def _listen(self, requests: Iterator[geyser.SubscribeRequest]) -> None:
        try:
            for request in requests:
                if request.HasField("ping"):
                    self.pongs.append(request.ping.id)
        except grpc.RpcError:
            return

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                body = msgspec.json.encode({"jsonrpc": "2.0", "id": request["id"], **node.answer(request)})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        return Handler

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """JSON-RPC's answer."""
        method, params = request["method"], request["params"]
        if method == "getBlocks":
            return {"result": sorted(slot for slot in self.blocks if params[0] <= slot <= params[1])}
        if method == "getBlock":
            self.fetched.append(params[0])
            return {"result": self.blocks[params[0]].answer()}
        if method == "getMultipleAccounts":
            if params[1]["minContextSlot"] > self.account_slot:
                return {"error": {"code": -32016, "message": "Minimum context slot has not been reached"}}
            found = [self.accounts.get(key) for key in params[0]]
            value = [
                None
                if one is None
                else {"owner": base58.b58encode(one[0]).decode(), "data": [base64.b64encode(one[1]).decode(), "base64"]}
                for one in found
            ]
            return {"result": {"context": {"slot": self.account_slot}, "value": value}}
        return {"error": {"code": -32601, "message": "Method not found"}}


def chain(count: int, first: int = 100) -> list[NodeBlock]:
    """Blocks one after another: some slots are skipped, each block has up to three swaps and one that failed."""
    found, parent, slot = [], first - 1, first
    for number in range(count):
        amounts = tuple(1 + slot * 10 + place for place in range(1 + number % 3))
        found.append(NodeBlock(slot, parent, (0, *amounts)))
        parent, slot = slot, slot + 1 + (number % 4 == 3)
    return found
