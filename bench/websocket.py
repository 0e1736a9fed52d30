"""Messages a second that reach 1, 10 and 100 WebSocket clients, through ``websocket.sink`` and the hub.

A sink writes swaps that all differ; clients in a process of their own read them over loopback. In one run every client
has a pool filter of its own (32 of 64 pools, no two clients the same), in the other all want the whole channel. The
sink goes on while no client is too far behind (``WINDOW_BYTES``), so nothing is dropped: the figure is what every
client really got. The bench fails when a client's sequence has a hole, a message does not pass its filter, or the
count of messages is not exactly what its filter lets through.

The peer is ``websockets.broadcast`` of one message a frame to as many of the same clients. It has no filters, so it
is compared with the run without.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mevflow.bench.peers import websockets_peer
from mevflow.bench.peers.websocket_clients import BYTES, COLUMNS, DROPPED, FAULTS, FRAMES, MESSAGES, read
from mevflow.operators.codec import codec
from mevflow.operators.errors import CheckFailedError
from mevflow.operators.stage import StageContext
from mevflow.processes.addresses import free_port
from mevflow.sinks.websocket.hub import start_hub, stop_hub
from mevflow.sinks.websocket.hub.wire import ticket_path
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink

CLIENTS = (1, 10, 100)
POOLS, WANTED = 64, 32
ROWS = 64 * 64
#: How far a client may be behind: less than the hub keeps for it, and not too much for all of them.
WINDOW_BYTES, ALL_WINDOWS_BYTES, MESSAGE_BYTES = 6 << 20, 256 << 20, 250
#: For a client so slow that more would grow too old.
SLOW_WINDOW_BYTES = 1 << 20
_SWAP = codec("mevflow.v1.Swap")


def run(seconds: float = 2.5, peer_seconds: float = 1.5) -> dict[str, Any]:
    """The figures. Takes about half a minute."""
    figures = []
    for clients in CLIENTS:
        name = "1 client" if clients == 1 else f"{clients} clients"
        own = fan_out(clients, seconds, filtered=True)
        whole = fan_out(clients, seconds, filtered=False)
        peer = broadcast(clients, peer_seconds)
        figures += [
            _figure(f"{name}, a filter each", own["rate"], "messages/s", "floor 200,000/s", 200_000),
            _figure(f"{name}, the whole channel", whole["rate"], "messages/s", "websockets broadcast", peer),
            _figure(f"{name}, websockets broadcast", peer, "messages/s"),
        ]
        if clients == 1 and find_spec("aioquic") is not None:
            other = over_webtransport(seconds)["rate"]
            figures.append(_figure("1 client, WebTransport", other, "messages/s", "WebSocket", whole["rate"]))
    figures.append(_figure("size of a message", own["bytes"] / own["messages"], "bytes"))
    return {"bench": "websocket", "figures": figures}


def _figure(
    name: str, value: float, unit: str, against: str | None = None, other: float | None = None
) -> dict[str, Any]:
    ratio = None if other is None else value / other
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def pool(number: int) -> bytes:
    """The address of a pool of the bench."""
    return number.to_bytes(2, "little") * 16


def filters(clients: int) -> np.ndarray:
    """Which pools each client wants, ``(clients, POOLS)`` of bool: WANTED each, no two clients the same."""
    random = np.random.default_rng(7)
    chosen: dict[bytes, np.ndarray] = {}
    while len(chosen) < clients:
        row = np.zeros(POOLS, bool)
        row[random.choice(POOLS, WANTED, replace=False)] = True
        chosen[row.tobytes()] = row
    return np.array(list(chosen.values()))


def renumbered(template: pa.RecordBatch, first: int) -> pa.RecordBatch:
    """The same swaps in slots ``first`` and following, so that no two messages of a run are equal; nearly free."""
    slots = np.arange(first, first + template.num_rows, dtype=np.uint64)
    index = template.schema.get_field_index("slot")
    return template.set_column(index, template.schema.field(index), pa.array(slots))


def swaps(first: int, rows: int = ROWS) -> pa.RecordBatch:
    """Swaps number ``first`` and following: each has its own slot, amounts and signature."""
    number = np.arange(first, first + rows, dtype=np.uint64)

    def fixed(width: int, salt: int) -> pa.Array:
        data = np.zeros((rows, width // 8), np.uint64)
        data[:] = (number * np.uint64(2_654_435_761) + np.uint64(salt))[:, None]
        offsets = pa.py_buffer(np.arange(0, (rows + 1) * width, width, dtype=np.int32))
        return pa.Array.from_buffers(pa.binary(), rows, [None, offsets, pa.py_buffer(data)])

    pools = pa.array([pool(i) for i in range(POOLS)], pa.binary())
    columns: dict[str, Any] = {
        "slot": number,
        "timestamp_us": number.astype(np.int64),
        "signature": fixed(64, 1),
        "pool": pools.take(pa.array((number % np.uint64(POOLS)).astype(np.int32))),
        "amount_in": fixed(16, 2),
        "amount_out": fixed(16, 3),
        "sqrt_price_x64": fixed(16, 4),
        "liquidity": fixed(16, 5),
    }
    arrays = []
    for field in _SWAP.schema:
        if field.name in columns:
            arrays.append(pa.array(columns[field.name], field.type))
        elif field.type == pa.binary():
            arrays.append(pa.repeat(pa.scalar(b"", field.type), rows))
        else:
            arrays.append(pa.array(np.zeros(rows), pa.float64()).cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=_SWAP.schema)


def fan_out(clients: int, seconds: float, filtered: bool) -> dict[str, float]:
    """One run: messages a second to all clients, messages and bytes in all. Raises CheckFailedError."""
    wanted = filters(clients) if filtered else np.ones((clients, POOLS), bool)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.sock"
        port = free_port()
        settings = WebSocketSettings(channel="swaps", port=port, socket=str(path))
        sink = WebSocketSink(settings, StageContext("bench", "live"))
        sink.open(None)
        url = f"ws://127.0.0.1:{port}/ws?channels=swaps"
        names = [frozenset(pool(int(i)) for i in np.flatnonzero(row)) if filtered else frozenset() for row in wanted]
        urls = [url + ("&pools=" + ",".join(f"0x{p.hex()}" for p in chosen) if chosen else "") for chosen in names]
        try:
            with _Readers(urls, names, enveloped=True) as counters:
                return _stream(sink, wanted, counters, seconds)
        finally:
            sink.close()
            stop_hub(port, path)


def over_webtransport(seconds: float) -> dict[str, float]:
    """As :func:`fan_out` to one client of the whole channel, over WebTransport (the extra ``webtransport``)."""
    from mevflow.bench.peers import webtransport_client

    with tempfile.TemporaryDirectory() as folder:
        path, port = Path(folder) / "hub.sock", free_port()
        start_hub("127.0.0.1", port, Path(folder), path=path, options=["--webtransport"])
        settings = WebSocketSettings(hub="external", channel="swaps", port=port, socket=str(path))
        sink = WebSocketSink(settings, StageContext("bench", "live"))
        sink.open(None)
        try:
            tickets = [str(ticket_path(path))]
            with _Readers(tickets, [frozenset()], enveloped=True, target=webtransport_client.read) as counters:
                return _stream(sink, np.ones((1, POOLS), bool), counters, seconds, SLOW_WINDOW_BYTES)
        finally:
            sink.close()
            stop_hub(port, path)


def _stream(
    sink: WebSocketSink, wanted: np.ndarray, counters: np.ndarray, seconds: float, most_bytes: int = WINDOW_BYTES
) -> dict[str, float]:
    """Write swaps for ``seconds``, then wait for the last of them and check every client's count."""
    per_block = wanted.sum(axis=1) * (ROWS // POOLS)
    behind = min(most_bytes, ALL_WINDOWS_BYTES // len(wanted))
    window = max(behind // MESSAGE_BYTES, 2 * int(per_block.max()))
    sink.write(swaps(0))  # warms every part up, outside the clock
    due = per_block.copy()
    _await(counters, due)
    first = int(counters[:, MESSAGES].sum())
    template, number = swaps(0), ROWS
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if (due - counters[:, MESSAGES]).max() > window:
            time.sleep(0.0002)
            continue
        sink.write(renumbered(template, number))
        number += ROWS
        due += per_block
    _await(counters, due)
    took = time.perf_counter() - began
    messages = int(counters[:, MESSAGES].sum())
    if counters[:, FAULTS].any() or (counters[:, MESSAGES] != due).any() or sink.dropped:
        raise CheckFailedError(
            f"{messages} messages of {due.sum()} arrived, {counters[:, DROPPED].sum()} were dropped, "
            f"{sink.dropped} never left, {counters[:, FAULTS].sum()} frames were wrong"
        )
    return {"rate": (messages - first) / took, "messages": messages, "bytes": int(counters[:, BYTES].sum())}


def _await(counters: np.ndarray, due: np.ndarray) -> None:
    """Wait until every client has what it is due, or knows that it missed it."""
    deadline = time.perf_counter() + 10
    while (counters[:, MESSAGES] + counters[:, DROPPED] < due).any() and time.perf_counter() < deadline:
        time.sleep(0.001)


class _Readers:
    """The process with the clients; entering gives the counters once all are connected."""

    def __init__(
        self,
        urls: Sequence[str],
        names: Sequence[frozenset[bytes]],
        enveloped: bool,
        shared: Any = None,
        target: Callable[..., None] = read,
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ended = spawn.Event()
        self.shared = spawn.RawArray("q", len(urls) * COLUMNS) if shared is None else shared
        self._process = spawn.Process(
            target=target, args=(urls, names, enveloped, self.shared, self._ended), daemon=True
        )

    def __enter__(self) -> np.ndarray:
        self._process.start()
        counters = np.frombuffer(self.shared, np.int64).reshape(-1, COLUMNS)
        while not counters[:, FRAMES].all():
            if not self._process.is_alive():
                raise CheckFailedError("the clients could not connect")
            time.sleep(0.01)
        return counters

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._process.join(10)


def broadcast(clients: int, seconds: float) -> float:
    """Messages a second of the peer, to all clients."""
    spawn = multiprocessing.get_context("spawn")
    port, sent = spawn.Value("i", 0), spawn.Value("q", 0)
    shared = spawn.RawArray("q", clients * COLUMNS)
    messages = _SWAP.encode(swaps(0)).to_pylist()
    server = spawn.Process(
        target=websockets_peer.run, args=(messages, clients, seconds, port, shared, sent), daemon=True
    )
    server.start()
    while not port.value:
        time.sleep(0.01)
    urls = [f"ws://127.0.0.1:{port.value}/"] * clients
    with _Readers(urls, [frozenset()] * clients, enveloped=False, shared=shared) as counters:
        began = time.perf_counter()
        while not sent.value or counters[:, MESSAGES].min() < sent.value:
            time.sleep(0.001)
        took = time.perf_counter() - began
        total = int(counters[:, MESSAGES].sum())
    server.join(10)
    return total / took
