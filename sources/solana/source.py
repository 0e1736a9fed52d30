"""``yellowstone.source``: swaps and pool updates of Solana, streamed by a node's Geyser plug-in.

A thread follows the chain (:mod:`.follow`); ``poll`` parses one slot at a time. A snapshot is the last slots that were
given and what the parser remembers of them: a restart asks for the slot after them, and gives the same rows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Literal

import base58
import msgspec
import pyarrow as pa
from pydantic import Field, field_validator

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.addresses import decode_base58
from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.parse.changes import SavedMemory
from mevflow.operators.parse.errors import ParseError, dead_letters
from mevflow.operators.parse.rows import RowBuilder
from mevflow.operators.parse.solana.events import VENUES
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.operators.stage import Settings, StageContext, Watermark
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.sources.followed import AFTER_ALL, HandOver, named, placed
from mevflow.sources.solana.follow import Followed, SlotFollower
from mevflow.sources.solana.slots import GivenSlot, SlotBlock, SlotsGone
from mevflow.sources.solana.state import ReadPool
from mevflow.sources.solana.stream import GeyserEndpoint
from mevflow.sources.source import Poll, Source, Standing
from mevflow.v1 import market_pb2 as market

_SWAP, _UPDATE = codec("mevflow.v1.Swap"), codec("mevflow.v1.PoolUpdate")
_PORTS = {b"mevflow.v1.Swap": ("swaps", _SWAP.located), b"mevflow.v1.PoolUpdate": ("updates", _UPDATE.located)}
_VERSION = 1
_TOPIC = "solana"
#: Slots that are ready and not yet taken: the thread waits beyond that.
_READY = 16


class YellowstoneSettings(Settings):
    """``endpoints`` are Geyser plug-ins, ``rpc`` nodes of JSON-RPC that fill gaps and give the state of ``pools``.

    ``start``: ``latest``, or a slot. ``programs``: transactions that name none of them do not come.
    """

    endpoints: tuple[GeyserEndpoint, ...] = Field(min_length=1)
    rpc: tuple[EndpointSettings, ...] = ()
    start: int | Literal["latest"] = "latest"
    commitment: Literal["processed", "confirmed"] = "processed"
    programs: tuple[str, ...] = tuple(sorted(base58.b58encode(one).decode() for one in VENUES))
    pools: tuple[str, ...] = ()

    @field_validator("programs", "pools")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if len(decode_base58(one, 32)) != 32:
                raise ValueError(f"{one[:50]!r} is no address of 32 bytes in base58")
        return value


class _State(msgspec.Struct):
    version: int
    ring: list[GivenSlot]
    forks: int
    stated: int | None
    memory: SavedMemory


class YellowstoneSource(Source[YellowstoneSettings]):
    """Solana in one shard."""

    use = "yellowstone.source"
    summary = "Swaps and pool updates of Solana, from a node's Geyser stream (Yellowstone)"
    settings_type = YellowstoneSettings

    @classmethod
    def collects(cls, settings: YellowstoneSettings) -> str:
        return "solana"

    def __init__(self, settings: YellowstoneSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        if settings.pools and not settings.rpc:
            raise UsageError("the state of pools is read by JSON-RPC: name nodes (`rpc:`)", key="pools")
        self._nodes = Nodes(settings.rpc) if settings.rpc else None
        self._handed = HandOver[Followed](_READY)
        self._follower = SlotFollower(
            settings.endpoints,
            self._nodes,
            None if settings.start == "latest" else settings.start,
            [base58.b58decode(one) for one in settings.programs],
            [base58.b58decode(one) for one in settings.pools],
            settings.commitment,
            self._handed.put,
        )
        self._parser = SolanaSwaps(lambda error: None)
        self._thread = threading.Thread(target=self._run, name="yellowstone.source", daemon=True)
        self._stands: tuple[list[GivenSlot], int, int | None] = [], 0, self._follower.stated
        self._hold_us = 0
        #: The newest slot that ``poll`` has given.
        self.slot = 0

    @classmethod
    def output_schemas(cls, settings: YellowstoneSettings) -> Mapping[str, pa.Schema]:
        return {"swaps": _SWAP.located, "updates": _UPDATE.located, "errors": ERRORS}

    def open(self, state: bytes | None) -> None:
        """Go to a snapshot, or to the configured start. Raises StateError for a snapshot of another version."""
        if state:
            try:
                saved = msgspec.msgpack.decode(state, type=_State)
            except (msgspec.DecodeError, ValueError) as error:
                raise StateError(f"this is no snapshot of {self.use}: {error}") from error
            if saved.version != _VERSION:
                raise StateError(f"{self.use} cannot read a snapshot of version {saved.version}")
            chain = self._follower.chain
            chain.ring.extend(saved.ring)
            chain.forks, self._follower.stated = saved.forks, saved.stated
            self._parser.memory.restore(saved.memory)
            self._stands = saved.ring, saved.forks, saved.stated
        self._thread.start()

    def poll(self) -> Poll:
        """Rows of the next slot, if one is ready within a few milliseconds. Raises StateError, UsageError."""
        ready = self._handed.take()
        if ready is None:
            return Poll()
        self._stands = ready.ring, ready.fork, ready.stated
        batches = []
        for batch in self._rows(ready):
            port, schema = _PORTS.get((batch.schema.metadata or {}).get(b"message", b""), ("errors", None))
            told = named(batch, self.context) if schema is None else _located(batch, schema, ready.fork)
            batches.append((port, told))
        # After a fork time may stand earlier than before; what was said to be complete stays so.
        self._hold_us = max(self._hold_us, ready.time_s * 1_000_000)
        return Poll(batches, Watermark(self._hold_us))

    def snapshot(self) -> bytes:
        """The slots up to the last that was given, and what the parser remembers of them."""
        ring, forks, stated = self._stands
        return msgspec.msgpack.encode(_State(_VERSION, ring, forks, stated, self._parser.memory.saved()))

    def behind(self) -> int:
        """Slots that the stream has told of and that were not given yet."""
        chain = self._follower.chain
        tip = chain.tip
        return self._handed.waiting + (max(0, chain.newest - tip.slot) if tip else 0)

    def standing(self) -> Standing:
        """Where the source stands, and why the last stream ended."""
        trouble = self._follower.trouble
        return Standing(self.behind(), notes=(trouble,) if trouble else ())

    def close(self) -> None:
        self._handed.stop.set()
        self._follower.stop()
        if self._thread.is_alive():
            self._thread.join(60)
        if self._nodes is not None:
            self._nodes.close()

    def _rows(self, followed: Followed) -> Iterator[pa.RecordBatch]:
        """What happened as batches of rows and dead letters."""
        happened, time_us = followed.happening, followed.time_s * 1_000_000
        if isinstance(happened, SlotBlock):
            self.slot = happened.slot
            for one in happened.transactions:
                place = _offset(happened.slot, one.index, 0)
                self._parser.add(one.document, happened.slot, one.index, time_us, one.signature, _TOPIC, place)
            yield from self._parser.flush()
        elif isinstance(happened, SlotsGone):
            update = market.PoolUpdate
            kind = update.KIND_SKIPPED if happened.alone else update.KIND_REORG
            rows = RowBuilder("mevflow.v1.PoolUpdate")
            rows.add(chain=market.CHAIN_SOLANA, slot=happened.first, timestamp_us=time_us, kind=kind)
            yield rows.take()
        else:
            for number, pool in enumerate(happened):
                yield _state_of(pool, number, followed.time_s)

    def _run(self) -> None:
        """The thread. Whatever ends it ends the source: one that only stopped would look like a silent chain."""
        try:
            self._follower.run()
        except Exception as wrong:
            self._handed.put(wrong)


def _state_of(pool: ReadPool, number: int, time_s: int) -> pa.RecordBatch:
    """The pool's ``KIND_SNAPSHOT``, or the dead letter that says why there is none.

    ``number`` is the pool's among those that were read: behind all of its slot each letter has a place of its own.
    """
    try:
        return pool.rows(time_s)
    except AccountError as wrong:
        name = base58.b58encode(pool.address).decode()
        why = f"the state of pool {name} cannot be read: {wrong.message}"
        place = _offset(pool.slot, AFTER_ALL, number)
        error = ParseError(why, file=_TOPIC, line=place, reason="no_state", payload=pool.address)
        error.timestamp_us = time_s * 1_000_000
        return dead_letters([error])


def _located(batch: pa.RecordBatch, schema: pa.Schema, fork: int) -> pa.RecordBatch:
    """Rows of a fork with the coordinates of their instructions."""
    places = zip(*(batch.column(name).to_pylist() for name in ("slot", "tx_index", "ix_index")), strict=True)
    return placed(batch, schema, _TOPIC, fork, [_offset(*place) for place in places])


def _offset(slot: int, tx_index: int, ix_index: int) -> int:
    """A row's place in the chain as one number: 31 bits of slot, 16 of the transaction, 16 within it."""
    return min(slot, (1 << 31) - 1) << 32 | min(tx_index, (1 << 16) - 1) << 16 | min(ix_index, (1 << 16) - 1)
