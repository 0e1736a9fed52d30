"""``evm.source``: swaps and pool updates of any EVM chain, read from nodes over JSON-RPC.

A thread follows the chain and makes rows; ``poll`` takes what is ready. A snapshot is the place in the chain after the
last rows that were given, so a restart reads the blocks after it again and gives the same rows.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mevflow.operators.chains import checked_name, id_of, name_of, number_of
from mevflow.operators.codec import ERRORS, codec
from mevflow.operators.errors import StateError, UnreachableError
from mevflow.operators.parse.evm.pools import KINDS, SINGLETONS, SPOKEN_OF, EvmPool, PoolTable
from mevflow.operators.stage import Settings, StageContext, Watermark
from mevflow.sources.evm.blocks import Block, LogFilter, header
from mevflow.sources.evm.collect import EVENTS, CollectedRows, PoolCollector
from mevflow.sources.evm.factories import KNOWN, Factory
from mevflow.sources.evm.fees import fee_modules
from mevflow.sources.evm.follow import RING, Follower, Fork, restore
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings, NodeError, RpcNode
from mevflow.sources.evm.stated import offset_of
from mevflow.sources.followed import HandOver, named, placed
from mevflow.sources.source import Poll, Source

_SWAP, _UPDATE = codec("mevflow.v1.Swap"), codec("mevflow.v1.PoolUpdate")
_VERSION = 1
_ADDRESS_BYTES = 20
#: Stretches that are ready and not yet taken: the thread waits beyond that.
_READY = 8


class PoolChoice(BaseModel):
    """Which pools: of ``factories`` and those known for the chain; only ``addresses`` if any; never ``deny``.

    A pool of Uniswap v4 or of Balancer is named by its id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    factories: tuple[Factory, ...] = ()
    known_factories: bool = True
    addresses: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    @field_validator("addresses", "deny")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if len(one) not in (42, 66) or not one.startswith("0x"):
                raise ValueError(f"{one[:68]!r} is no address (0x and 40 digits) and no id (64 digits) of a pool")
            bytes.fromhex(one[2:])
        return value


class AuditSettings(BaseModel):
    """Every ``blocks`` blocks at the head, ``pools`` pools are held against their contracts. 0 pools: none."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    blocks: int = Field(10, ge=1, le=1_000_000)
    pools: int = Field(4, ge=0, le=100)


class EvmSettings(Settings):
    """``chain``: its name, or ``evm-<chain id>``; the nodes' ``eth_chainId`` must be that chain's.

    ``start``: ``latest``, a block number, or a block's hash.
    """

    chain: str = "ethereum"
    endpoints: tuple[EndpointSettings, ...] = Field(min_length=1)
    start: int | str = "latest"
    confirmations: int = Field(0, ge=0, le=1_000)
    poll_ms: int = Field(500, ge=10, le=60_000)
    pools: PoolChoice = PoolChoice()
    audit: AuditSettings = AuditSettings()

    @field_validator("chain")
    @classmethod
    def _evm_chain(cls, value: str) -> str:
        if checked_name(value) == "solana":
            raise ValueError("solana is no EVM chain")
        return value

    @field_validator("start")
    @classmethod
    def _start(cls, value: int | str) -> int | str:
        if isinstance(value, int) or value == "latest" or (value.startswith("0x") and len(value) == 66):
            return value
        raise ValueError("latest, a block number, or a block's hash (0x and 64 digits)")


class _State(msgspec.Struct):
    version: int
    next: int
    forks: int
    ring: list[tuple[int, bytes]]
    pools: list[EvmPool]
    since: dict[bytes, int]


@dataclass(frozen=True, slots=True)
class _Ready:
    """Rows, the fork that they are of, and the snapshot after them."""

    rows: CollectedRows
    fork: int
    state: bytes
    block: int


class EvmSource(Source[EvmSettings]):
    """One chain in one shard."""

    use = "evm.source"
    summary = "Swaps and pool updates of an EVM chain, from nodes over JSON-RPC"
    settings_type = EvmSettings

    @classmethod
    def collects(cls, settings: EvmSettings) -> str:
        return name_of(number_of(settings.chain))

    def __init__(self, settings: EvmSettings, context: StageContext) -> None:
        super().__init__(settings, context)
        choice, number = settings.pools, number_of(settings.chain)
        chain_id = id_of(number)
        factories = [*choice.factories, *(KNOWN.get(chain_id, ()) if choice.known_factories else ())]
        self._nodes = Nodes(settings.endpoints, chain_id)
        named = frozenset(bytes.fromhex(one[2:]) for one in choice.addresses)
        #: Whose logs are read; empty: everybody's.
        self._only = _speakers(named, factories)
        most = max(one.max_range for one in settings.endpoints)
        self._follower = Follower(
            self._nodes, LogFilter(EVENTS, tuple(sorted(self._only))), settings.confirmations, most
        )
        self._collector = PoolCollector(
            chain=number,
            name=name_of(number),
            nodes=self._nodes,
            factories={one.key: one for one in factories},
            only=named,
            deny=frozenset(bytes.fromhex(one[2:]) for one in choice.deny),
        )
        self._handed = HandOver[_Ready](_READY)
        self._stop = self._handed.stop
        self._thread = threading.Thread(target=self._run, name="evm.source", daemon=True)
        self._state = b""
        self._heard = False
        self._hold_us = 0
        #: The block after the last one that ``poll`` has given; None before the first.
        self.block: int | None = None
        #: Why no node answered the last time that none did.
        self.trouble = ""

    @classmethod
    def output_schemas(cls, settings: EvmSettings) -> Mapping[str, pa.Schema]:
        return {"swaps": _SWAP.located, "updates": _UPDATE.located, "errors": ERRORS}

    def open(self, state: bytes | None) -> None:
        """Go to a snapshot, or to the configured start. Raises StateError for a snapshot of another version."""
        if state:
            try:
                saved = msgspec.msgpack.decode(state, type=_State)
            except msgspec.DecodeError as error:
                raise StateError(f"this is no snapshot of evm.source: {error}") from error
            if saved.version != _VERSION:
                raise StateError(f"evm.source cannot read a snapshot of version {saved.version}")
            restore(self._follower, saved.next, saved.forks, saved.ring)
            self._collector.table, self._collector.since = PoolTable(saved.pools), saved.since
            self._state = state
        self._thread.start()

    def poll(self) -> Poll:
        """Rows of the next stretch, if one is ready within a few milliseconds. Raises StateError."""
        ready = self._handed.take()
        if ready is None:
            return Poll()
        self._state, rows, self.block = ready.state, ready.rows, ready.block
        topic = f"evm:{self._collector.name}"
        batches = [
            (port, located(batch, kind, topic, ready.fork))
            for port, batch, kind in (("updates", rows.updates, _UPDATE.located), ("swaps", rows.swaps, _SWAP.located))
            if batch is not None
        ]
        if rows.errors is not None:
            batches.append(("errors", named(rows.errors, self.context)))
        # After a fork time may stand earlier than before; what was said to be complete stays so.
        self._hold_us = max(self._hold_us, rows.timestamp_us)
        return Poll(batches, Watermark(self._hold_us))

    def snapshot(self) -> bytes:
        """The place in the chain after everything that was given, and the pools that are known there."""
        return self._state

    def behind(self) -> int:
        """Blocks that the chain has and that were not read, or not given yet."""
        return max(0, self._follower.head - self._follower.next + 1) + self._handed.waiting

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * self.settings.endpoints[0].timeout_s)
        self._nodes.close()

    def _run(self) -> None:
        """The thread: follow, collect, hand over; what no node answers is asked again.

        Whatever else ends it ends the source: one that only stopped would look like a silent chain.
        """
        started = bool(self._state)
        while not self._stop.is_set():
            try:
                if not started:
                    begun = self._follower.start(None if self.settings.start == "latest" else self.settings.start)
                    self._take(self._collector.fork(begun))
                    started = True
                if self._only:
                    self._listen()
                steps = self._follower.step()
                for rows in self._collect(steps):
                    self._take(rows)
                if not steps:
                    self._stop.wait(self.settings.poll_ms / 1000)
            except UnreachableError as wrong:
                self.trouble = str(wrong)
                self._stop.wait(self.settings.poll_ms / 1000)
            except Exception as wrong:
                self._handed.put(wrong)
                return

    def _listen(self) -> None:
        """Read the logs of fee modules, too; which they are, a factory says, and may say anew."""
        makers = [one.key for one in self._collector.factories.values() if one.kind == "slipstream"]
        found = set(self._collector.managers())
        if not self._heard and makers:
            found |= self._nodes.ask(lambda node: _modules(node, makers))
        self._heard = True
        if found - self._only - {b""}:
            self._only |= found - {b""}
            self._follower.wanted = LogFilter(EVENTS, tuple(sorted(self._only)))

    def _collect(self, steps: Sequence[Block | Fork]) -> list[CollectedRows]:
        """A fork comes alone, blocks as one stretch. What was followed is collected, however often a node fails."""
        while True:
            try:
                if steps and isinstance(steps[0], Fork):
                    return [self._collector.fork(steps[0])]
                blocks = [one for one in steps if isinstance(one, Block)]
                return [self._collector.take(blocks), *self._audited(blocks[-1])] if blocks else []
            except UnreachableError as wrong:
                self.trouble = str(wrong)
                if self._stop.wait(self.settings.poll_ms / 1000):
                    return []

    def _audited(self, block: Block) -> list[CollectedRows]:
        """What an audit at the end of ``block`` finds. A node that has no answer is not waited for."""
        audit, number = self.settings.audit, block.header.number
        if not audit.pools or number % audit.blocks or number < self._follower.head - RING:
            return []
        try:
            found = self._collector.audit(block, audit.pools)
        except UnreachableError as wrong:
            self.trouble = str(wrong)
            return []
        return [] if found is None else [found]

    def _take(self, rows: CollectedRows) -> None:
        self._handed.put(_Ready(rows, self._follower.forks, self._snapshot(), self._follower.next))

    def _snapshot(self) -> bytes:
        follower, collector = self._follower, self._collector
        return msgspec.msgpack.encode(
            _State(
                _VERSION,
                follower.next,
                follower.forks,
                [*follower.ring],
                [pool for pool in collector.table.pools if pool.address in collector.since],
                collector.since,
            )
        )


def _speakers(pools: frozenset[bytes], factories: Sequence[Factory]) -> frozenset[bytes]:
    """Contracts that log of these pools: they themselves, those who manage them, and those that log for ids."""
    if not pools:
        return pools
    ids = {one for one in pools if len(one) > _ADDRESS_BYTES}
    heard = (*SPOKEN_OF, *SINGLETONS) if ids else set(SPOKEN_OF) - set(SINGLETONS)
    return frozenset(pools - ids | {one.key for one in factories if KINDS[one.kind] in heard})


def _modules(node: RpcNode, factories: Sequence[bytes]) -> set[bytes]:
    """Slipstream's fee modules as they are now."""
    head = header(node, "latest")
    if head is None:
        raise NodeError("has no block", key=node.name)
    return set(fee_modules(node, factories, head.hash).values())


def located(batch: pa.RecordBatch, schema: pa.Schema, topic: str, fork: int) -> pa.RecordBatch:
    """Rows of a fork with the coordinates of their logs."""
    places = zip(*(batch.column(name).to_pylist() for name in ("slot", "ix_index")), strict=True)
    return placed(batch, schema, topic, fork, [offset_of(*place) for place in places])
