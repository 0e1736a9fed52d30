"""Send batches to live readers: ``websocket.sink``.

The sink serializes its messages column by column and hands them to the fan-out hub (``sinks/hub``), a process of its
own. Live readers are lossy by design: when the hub is away or far behind, messages are dropped and counted, the
readers are told, and the stream goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from mevflow.metrics.page import Page
from mevflow.operators.codec import codec
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.stage import Settings
from mevflow.sinks.sink import Sink
from mevflow.sinks.websocket.hub.control import start_hub
from mevflow.sinks.websocket.hub.dscp import code_point
from mevflow.sinks.websocket.hub.feed import HubFeed
from mevflow.sinks.websocket.hub.wire import SCHEMA, socket_path

REALTIME = "mevflow.v1.RealtimeMessage"
_BATCH = "mevflow.v1.RealtimeBatch"
PART_BYTES = 8 << 20


class WebSocketSettings(Settings):
    """``with:`` of a ``websocket.sink``.

    ``channel`` is what readers subscribe to; a stream of RealtimeMessage brings its own and may leave it out.
    ``hub: auto`` starts a hub when none has the port, which ends ``linger_s`` after its last feed has gone;
    ``external`` expects one that someone else starts (``mevflow hub start``). ``socket`` overrides where it listens
    for feeds. ``dscp``: how a hub that it starts marks packets.
    """

    channel: str = ""
    host: str = "127.0.0.1"
    port: int = Field(default=8002, gt=0, lt=65536)
    hub: Literal["auto", "external"] = "auto"
    linger_s: float = Field(default=30.0, gt=0)
    socket: str = ""
    dscp: str = ""
    buffer_bytes: int = Field(default=16 << 20, gt=0)

    @field_validator("dscp")
    @classmethod
    def _known(cls, text: str) -> str:
        try:
            code_point(text)
        except UsageError as error:
            raise ValueError(str(error.message)) from None
        return text


class WebSocketSink(Sink[WebSocketSettings]):
    """Messages of one channel to every WebSocket client that wants them."""

    use: ClassVar[str] = "websocket.sink"
    summary: ClassVar[str] = "Live messages to browsers and bots, through the fan-out hub"
    settings_type = WebSocketSettings
    live_only: ClassVar[bool] = True

    def open(self, state: bytes | None) -> None:
        """Find the hub, or start it. ``state`` holds the count of dropped messages. Raises StateError."""
        self._dropped_before = _dropped_of(state) if state else 0
        settings = self.settings
        path = Path(settings.socket) if settings.socket else socket_path(settings.port)
        if settings.hub == "auto":
            start_hub(
                settings.host,
                settings.port,
                path.parent,
                path=path,
                linger_s=settings.linger_s,
                options=("--dscp", settings.dscp),
            )
        codec(_BATCH)  # building a codec takes a while: not in the first batch's way
        context = self.context
        identity = {"topology": context.topology, "node": context.node, "shard": context.shard}
        self._feed = HubFeed(path, {**identity, "channel": settings.channel}, settings.buffer_bytes)

    @property
    def dropped(self) -> int:
        """Messages that never reached the hub."""
        return int(self._dropped_before + self._feed.dropped)

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        for part in parts_of(batch):
            for channel, messages, chosen in self._by_channel(part, pools_of(part)):
                self._feed.send(channel, pa.RecordBatch.from_arrays([frames(messages), chosen], schema=SCHEMA))

    def _by_channel(
        self, batch: pa.RecordBatch, pools: pa.ListArray
    ) -> list[tuple[str, Mapping[str, pa.Array], pa.ListArray]]:
        """RealtimeMessage columns with the pools to filter by, a channel at a time."""
        name = batch.schema.metadata[b"message"].decode()
        count = batch.num_rows
        if name != REALTIME:
            known = set(batch.schema.names)
            return [
                (
                    self.settings.channel,
                    {
                        "channel": pa.repeat(self.settings.channel, count),
                        "payload": codec(name).encode(batch),
                        "pool": _first(pools),
                        "timestamp_us": batch["timestamp_us"] if "timestamp_us" in known else pa.repeat(0, count),
                        "type": pa.repeat(name, count),
                    },
                    pools,
                )
            ]
        found: list[tuple[str, Mapping[str, pa.Array], pa.ListArray]] = []
        for channel in pc.unique(batch["channel"]).to_pylist():
            at = pc.indices_nonzero(pc.equal(batch["channel"], channel))
            part = batch if len(at) == count else batch.take(at)
            columns = {field: part[field] for field in codec(REALTIME).schema.names}
            found.append((channel, columns, pools if part is batch else pools.take(at)))
        return found

    def tell(self, page: Page) -> None:
        """Put what did not reach the hub."""
        feed = getattr(self, "_feed", None)  # none before it is open
        page.put("mevflow_feed_dropped_messages", 0 if feed is None else feed.dropped, stage=self.context.node)

    def snapshot(self) -> bytes:
        """Nothing to resume from but a count: what a live reader missed is gone."""
        return msgspec.json.encode({"dropped": self.dropped})

    def close(self) -> None:
        self._feed.close()


class _Dropped(msgspec.Struct, frozen=True):
    """What a snapshot holds."""

    dropped: int


def _dropped_of(state: bytes) -> int:
    try:
        return msgspec.json.decode(state, type=_Dropped).dropped
    except msgspec.DecodeError as error:
        raise StateError(f"the snapshot of websocket.sink is not readable: {error}") from None


def parts_of(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts of at most ``PART_BYTES``, or of one row: what is lost at once, and what the hub holds."""
    if batch.nbytes <= PART_BYTES or batch.num_rows < 2:
        yield batch
        return
    half = batch.num_rows // 2
    yield from parts_of(batch.slice(0, half))
    yield from parts_of(batch.slice(half))


def frames(messages: Mapping[str, pa.Array]) -> pa.BinaryArray:
    """Serialize RealtimeMessage columns, each row as a RealtimeBatch of one message (see ``hub.wire``)."""
    batches = codec(_BATCH)
    repeated = batches.schema.field("messages").type
    fields = list(repeated.value_type)
    rows = pa.StructArray.from_arrays([messages[field.name] for field in fields], fields=fields)
    count = len(rows)
    zeros = pa.array(np.zeros(count, np.uint64))
    each = pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), rows, type=repeated)
    columns = {"messages": each, "sequence": zeros, "dropped": zeros, "dropped_total": zeros}
    return batches.encode(pa.RecordBatch.from_arrays([columns[n] for n in batches.schema.names], batches.schema.names))


def pools_of(batch: pa.RecordBatch) -> pa.ListArray:
    """The pools that filters look at: column ``pool``, else those of ``legs``, else ``pools``, else none."""
    known, count = batch.schema.names, batch.num_rows
    kind = SCHEMA.field("pools").type
    if "pool" in known:
        return pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), batch["pool"], type=kind)
    if "legs" in known:
        legs = batch["legs"]
        return pa.ListArray.from_arrays(legs.offsets, pc.struct_field(legs.values, "pool"), type=kind)
    if "pools" in known:
        return batch["pools"].cast(kind)
    return pa.ListArray.from_arrays(pa.array(np.zeros(count + 1, np.int32)), pa.array([], pa.binary()), type=kind)


def _first(pools: pa.ListArray) -> pa.BinaryArray:
    """The first pool of each row, empty where there is none."""
    offsets = pools.offsets.to_numpy()
    some = offsets[1:] > offsets[:-1]
    at = pa.array(offsets[:-1], mask=~some)
    return pc.fill_null(pools.values.take(at), b"")
