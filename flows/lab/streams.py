"""Smoke tests of what the stream does: detection on a recorded hour, a command to its answers, live messages."""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from websockets.sync.client import ClientConnection, connect

import mevflow
from mevflow.flows.lab import lab
from mevflow.flows.lab.lab import Bench, LabClock
from mevflow.operators.codec import codec
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sinks.websocket.hub.handover import MAX_HEAD, hand_over
from mevflow.sinks.websocket.hub.wire import door_path
from mevflow.sinks.websocket.sink import WebSocketSettings, WebSocketSink
from mevflow.sources.recorded import open_recorded
from mevflow.v1.market_pb2 import Swap
from mevflow.v1.realtime_pb2 import RealtimeBatch

_EXAMPLES = Path(mevflow.__file__).parent / "examples"
#: 2024-01-05T06:00Z to 07:00Z, an hour that has opportunities; what comes before it makes the pools' states.
_HOUR_US = (1_704_434_400_000_000, 1_704_438_000_000_000)
_MESSAGES = 1_000
_ANSWER_S = 30.0


def detect_an_hour(bench: Bench, clock: LabClock) -> None:
    """Arbitrage is detected on an hour of a recorded day, twice: the same opportunities come of it."""
    with clock.step("read the day until then"):
        batches = list(_until_the_hours_end())
    found = []
    for turn in ("detect", "detect again"):
        with clock.step(turn):
            found.append(_detected(batches))
    lab.expect(bool(found[0]), "no opportunity was found in an hour that has some")
    lab.expect(found[0] == found[1], f"{len(found[0]):,} opportunities the first time, others the second time")


def _until_the_hours_end() -> Iterator[tuple[str, pa.RecordBatch]]:
    """(port, rows) of the day from its beginning; a batch is cut at the hour's end."""
    for batch in open_recorded(*sorted((_EXAMPLES / "data").glob("uniswap-v3-*.csv.gz"))):
        name = batch.schema.metadata[b"message"].decode()
        part = batch.filter(pc.less(batch["timestamp_us"], _HOUR_US[1]))
        if not part.num_rows:
            return
        count = part.num_rows
        topic = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), pa.array(["dex-swaps-proto"]))
        columns = [*part.columns, topic, pa.array([0] * count, pa.int32()), pa.array(range(count), pa.int64())]
        port = "swaps" if name.endswith("Swap") else "updates"
        yield port, pa.RecordBatch.from_arrays(columns, schema=codec(name).located)


def _detected(batches: list[tuple[str, pa.RecordBatch]]) -> list[bytes]:
    """Ids of the hour's opportunities, in order."""
    settings = DetectSettings(registry=str(_EXAMPLES / "pools.yaml"), min_profit_usd=0.0)
    stage = ArbitrageDetect(settings, StageContext("lab", "found"))
    given = [row for port, batch in batches for row in stage.process(port, batch)]
    for port in ("updates", "swaps"):
        given += stage.on_watermark(port, Watermark(CAUGHT_UP_US, final=True))
    ids: list[bytes] = []
    for port, batch in given:
        if port == "opportunities":
            inside = pc.greater_equal(batch["timestamp_us"], _HOUR_US[0])
            ids += batch.filter(inside)["opportunity_id"].to_pylist()
    return ids


def command_to_answers(bench: Bench, clock: LabClock) -> None:
    """The shards of a topology that runs are told their log level again, and each of them answers."""
    lab.expect(bench.command is not None, "commands are given through the gateway")
    assert bench.command is not None
    with clock.step("command, until every shard has answered"):
        answered = bench.command()
    lab.expect(answered.expected > 0, "no shard runs: mevflow deploy detect-live")
    lab.expect(
        answered.applied == answered.expected,
        f"{answered.applied} of {answered.expected} shards of {answered.topology} have done it: {answered.outcome}",
    )


def websocket_echo(bench: Bench, clock: LabClock) -> None:
    """1,000 messages go to the hub as a shard sends them, and come back in order as a client gets them."""
    lab.expect(bench.hub is not None, "this gateway knows no hub")
    assert bench.hub is not None
    channel = f"lab-{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as stack:
        with clock.step("connect"):
            client = stack.enter_context(_client(bench.hub, channel))
        settings = WebSocketSettings(hub="external", socket=str(bench.hub), channel=channel)
        sink = WebSocketSink(settings, StageContext("lab", "echo"))
        sink.open(None)
        stack.callback(sink.close)
        with clock.step(f"send {_MESSAGES:,} messages and read them"):
            values = [Swap(slot=n + 1, pool=b"\1" * 32).SerializeToString() for n in range(_MESSAGES)]
            sink.write(codec("mevflow.v1.Swap").decode(pa.array(values, pa.binary())))
            slots = list(islice(_slots(client), _MESSAGES))
    lab.expect(slots == list(range(1, _MESSAGES + 1)), f"{len(slots):,} of {_MESSAGES:,} messages came back in order")


@contextlib.contextmanager
def _client(hub: Path, channel: str) -> Iterator[ClientConnection]:
    """A client as the gateway lets one in: the hub's own port may be closed to callers without proof."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listening:
        near = socket.create_connection(listening.getsockname(), timeout=_ANSWER_S)
        far, _ = listening.accept()
    handed: list[socket.socket | OSError] = []

    def hand() -> None:
        """Read the client's request, and give its connection to the hub."""
        with far:
            far.settimeout(_ANSWER_S)
            head = b""
            try:
                while not head.endswith(b"\r\n\r\n") and (piece := far.recv(MAX_HEAD - len(head))):
                    head += piece
                handed.append(hand_over(door_path(hub), head, far.fileno()))
            except OSError as error:
                handed.append(error)
                far.shutdown(socket.SHUT_RDWR)

    handing = threading.Thread(target=hand, name="lab-hand-over", daemon=True)
    handing.start()
    with contextlib.ExitStack() as stack:
        stack.callback(near.close)
        url = f"ws://127.0.0.1/ws?channels={channel}"
        try:
            client = stack.enter_context(
                connect(url, sock=near, compression=None, open_timeout=_ANSWER_S, max_size=None, proxy=None)
            )
        except Exception as error:
            why = handed[0].strerror if handed and isinstance(handed[0], OSError) else error
            raise MevflowError(f"no hub takes clients: {why}", hint="mevflow hub start") from error
        handing.join()
        if isinstance(handed[0], socket.socket):
            stack.enter_context(handed[0])  # when it is closed the hub ends the client
        client.recv(timeout=_ANSWER_S)  # the filter is in force
        yield client


def _slots(client: ClientConnection) -> Iterator[int]:
    while True:
        data = client.recv(timeout=_ANSWER_S)
        batch = RealtimeBatch.FromString(data if isinstance(data, bytes) else data.encode())
        lab.expect(not batch.dropped, f"the hub dropped {batch.dropped:,} messages")
        yield from (Swap.FromString(message.payload).slot for message in batch.messages)


TESTS = {**lab.TESTS, "detect": detect_an_hour, "policy": command_to_answers, "websocket": websocket_echo}
