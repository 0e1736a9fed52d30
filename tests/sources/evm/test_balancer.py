"""Weighted pools of Balancer on a node: made by known factories, followed by what swaps move, stated after every event.

What the vault answers is scripted by the rule in integers; the rule is held against the contracts in
``tests/operators/amm/weighted``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.codec import codec
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.parse.evm.events import VAULT_CHANGES, VAULT_POOL, VAULT_SWAP
from mevflow.operators.parse.evm.pools import WEIGHTED, EvmPool
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.evm.balancer import _QUERY
from mevflow.sources.evm.blocks import Block, LogFilter
from mevflow.sources.evm.collect import EVENTS, CollectedRows, PoolCollector
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Follower
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.sources.evm.source import located
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain, word
from tests.evm.scripted import KEEP, LOG3, LOG4, SAY, Slot, code, put

VAULT, MAKER, POOL, STRANGER = (bytes([number]) * 20 for number in (0xBA, 0xF1, 0xA1, 0xA2))
ID = POOL + bytes(11) + b"\x05"
COINS = tuple(bytes([number]) * 20 for number in (0x11, 0x22, 0x33))
DECIMALS = (18, 6, 8)
STATE = WeightedState(
    balances=(5 * 10**24, 4 * 10**12, 6 * 10**14),
    weights=(ONE // 2, ONE // 5, 3 * ONE // 10),
    scales=tuple(10 ** (36 - one) for one in DECIMALS),
    fee=3 * 10**15,
)
#: Slots: of the vault its balances from 0, its pause, and quotes from 100 on, by the amount; of the pool fee and pause.
PAUSED, QUOTES, FEE, POOL_PAUSED = 16, 100, 1, 2
SWAP, JOINED, NEW_FEE, PAUSING = map(int.from_bytes, (VAULT_SWAP, VAULT_CHANGES[0], *VAULT_POOL))
KIND = market.PoolUpdate
WHOLE, DOUBT, CLOSED = (KIND.KIND_SNAPSHOT, True), (KIND.KIND_UNSPECIFIED, False), (KIND.KIND_REMOVE, False)


class Vault:
    """A scripted vault with one pool beside a collector and a detector that read them."""

    def __init__(self, chain: Chain, folder: Any, made: int = 1) -> None:
        self.chain, self.state = chain, STATE
        held = (*(Slot(i) for i in range(3)),)
        tokens = (0x60, 0xE0, 7, 3, *map(word, COINS), 3, *held)
        quote = (0x20, 2, 0, Slot(QUOTES, counted=12))
        told = {"getPoolTokens(bytes32)": tokens, _QUERY: quote, "getPausedState()": (Slot(PAUSED), 0, 0)}
        put(chain, VAULT, code(told))
        put(chain, MAKER, code({"isPoolFromFactory(address)": made}))
        own = {"getNormalizedWeights()": (32, 3, *STATE.weights), "getPausedState()": (Slot(POOL_PAUSED), 0, 0)}
        put(chain, POOL, code(own, kept={"getSwapFeePercentage()": FEE}))
        for coin, decimals in zip(COINS, DECIMALS, strict=True):
            put(chain, coin, code({"decimals()": decimals, "symbol()": (32, 2, 0x5431 << 240)}))
        self.stand(STATE)
        chain.mine()
        vault = Factory(address="0x" + VAULT.hex(), kind="balancer", makers=("0x" + MAKER.hex(),))
        nodes = Nodes([EndpointSettings(url=chain.url, max_rps=1e6)])
        self.follower = Follower(nodes, LogFilter(EVENTS))
        self.collector = PoolCollector(market.CHAIN_ETHEREUM, "ethereum", nodes, {vault.key: vault})
        registry = folder / "registry.yaml"
        with registry.open("w") as file:
            YAML().dump({"tokens": []}, file)
        self.detector = ArbitrageDetect(DetectSettings(registry=str(registry)), StageContext("watch", "found"))
        self._detect(self.collector.fork(self.follower.start(chain.head())))

    def keep(self, slot: int, value: int, contract: bytes = VAULT) -> None:
        """Have a contract answer so from the next block on."""
        self.chain.do(contract, KEEP, slot, value)

    def stand(self, state: WeightedState, more: int = 0) -> None:
        """Have the contracts be in a state from the next block on; ``more`` is added to what the vault quotes."""
        for i, held in enumerate(state.balances):
            self.keep(i, held)
            if held:
                out = weighted.quote_exact_in(state, i, (i + 1) % 3, held // 1_000).amount_out
                self.keep(QUOTES + held // 1_000, -(out + more) % (1 << 256))
        self.keep(FEE, state.fee, POOL)
        self.state = state

    def swap(self, i: int, j: int, amount: int) -> None:
        """Log a swap by the rule, and stand as it leaves the pool."""
        quote = weighted.quote_exact_in(self.state, i, j, amount)
        self.stand(quote.applied_to(self.state))
        self.chain.do(VAULT, LOG4, SWAP, word(ID), word(COINS[i]), word(COINS[j]), amount, quote.amount_out)

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        """Updates, swaps and what dead letters say, mined and read; the detector has them, too."""
        self.chain.mine()
        found: tuple[list[dict[str, Any]], ...] = ([], [], [])
        while steps := self.follower.step():
            for step in steps:
                assert isinstance(step, Block)
                self.block = step
                taken = self.collector.take([step])
                self._detect(taken)
                for rows, batch in zip(found, (taken.updates, taken.swaps, taken.errors), strict=True):
                    rows += batch.to_pylist() if batch is not None else []
        return found[0], found[1], [row["detail"] for row in found[2]]

    def known(self) -> Any:
        """The curve that the detector knows; None where it is in doubt."""
        book = self.detector._market.book
        return book.info[book.index[market.CHAIN_ETHEREUM][ID]].curve

    def _detect(self, taken: CollectedRows) -> None:
        given = []
        for port, batch, message in (("updates", taken.updates, "PoolUpdate"), ("swaps", taken.swaps, "Swap")):
            if batch is not None:
                schema = codec(f"mevflow.v1.{message}").located
                given += self.detector.process(port, located(batch, schema, "evm:ethereum", self.follower.forks))
        for port in ("updates", "swaps"):
            given += self.detector.on_watermark(port, Watermark(CAUGHT_UP_US))
        assert not [batch for port, batch in given if port == "errors"]


def told(updates: list[dict[str, Any]]) -> list[tuple[int, bool]]:
    """Kinds, and whether they state the curve."""
    return [(row["kind"], row["stable"] is not None) for row in updates]


def test_a_pool_is_stated_before_its_first_row_and_after_every_event(chain: Chain, tmp_path: Any) -> None:
    vault = Vault(chain, tmp_path)
    vault.swap(2, 0, 10**13)
    updates, swaps, errors = vault.rows()
    assert (told(updates), errors) == ([WHOLE, WHOLE], [])
    first = updates[0]
    assert (first["venue"], first["pool"], first["mint_a"], first["decimals_b"]) == (WEIGHTED, ID, COINS[0], 6)
    assert (first["fee_pips"], first["symbol_a"]) == (3_000, "T1")
    assert [int.from_bytes(coin["balance"], "little") for coin in first["stable"]["coins"]] == [*STATE.balances]
    assert [(row["mint_in"], row["mint_out"], row["a_to_b"]) for row in swaps] == [(COINS[2], COINS[0], False)]
    assert vault.known() == vault.state
    pool = vault.collector.table.of(ID)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(pool), type=EvmPool) == pool  # as a snapshot has it
    vault.stand(replace(vault.state, balances=(7 * 10**24, 7 * 10**12, 7 * 10**14)))
    chain.do(VAULT, LOG3, JOINED, word(ID), 7)
    updates, _, _ = vault.rows()
    assert (told(updates), vault.known().balances) == ([DOUBT, WHOLE], vault.state.balances)
    assert vault.collector.audit(vault.block, 5) is None
    vault.stand(replace(vault.state, balances=(7 * 10**24, 7 * 10**12 + 1, 7 * 10**14)))  # and no log says so
    vault.rows()
    found = vault.collector.audit(vault.block, 5)
    assert found is not None
    assert found.updates is not None
    assert told(found.updates.to_pylist()) == [WHOLE]


def test_swaps_of_a_block_are_followed_one_by_one(chain: Chain, tmp_path: Any) -> None:
    """What they move is what they state: without the contract's word the pool is where they left it."""
    vault = Vault(chain, tmp_path)
    vault.rows()
    vault.swap(0, 1, 10**21)
    vault.swap(1, 2, 10**10)
    chain.mine()
    (block,) = vault.follower.step()
    assert isinstance(block, Block)
    taken = vault.collector.take([block])
    assert taken.updates is not None
    vault._detect(replace(taken, updates=taken.updates.slice(0, 1)))
    assert vault.known() == vault.state


def test_a_fee_or_a_pause_is_told_at_its_place(chain: Chain, tmp_path: Any) -> None:
    vault = Vault(chain, tmp_path)
    vault.swap(0, 1, 10**20)
    vault.rows()
    vault.keep(FEE, 10**16, POOL)
    chain.do(POOL, SAY, NEW_FEE, 0, 10**16)
    updates, _, errors = vault.rows()
    assert (told(updates), errors) == ([CLOSED, WHOLE], [])
    assert (vault.known().fee, updates[1]["fee_pips"]) == (10**16, 10_000)
    for contract, slot in ((POOL, POOL_PAUSED), (VAULT, PAUSED)):
        vault.keep(slot, 1, contract)
        chain.do(contract, SAY, PAUSING, 0, 1)
        updates, _, (letter,) = vault.rows()
        assert (told(updates), vault.known()) == ([CLOSED, CLOSED], None)
        assert letter.endswith("it is paused, or the vault is")
        vault.keep(slot, 0, contract)
        chain.do(contract, SAY, PAUSING, 0, 0)
        updates, _, _ = vault.rows()
        assert (told(updates), vault.known().fee) == ([CLOSED, WHOLE], 10**16)


def test_a_pool_of_another_factory_is_told_once(chain: Chain, tmp_path: Any) -> None:
    """Stable pools, pools with weights that move, and whatever else anybody registers."""
    vault = Vault(chain, tmp_path, made=0)
    found = []
    for _ in range(2):
        vault.swap(0, 1, 10**20)
        updates, swaps, errors = vault.rows()
        assert (updates, swaps) == ([], [])
        found += errors
    assert found == [f"pool 0x{ID.hex()} is closed: it is no weighted pool of a factory that is known"]


def test_a_pool_that_quotes_otherwise_is_closed(chain: Chain, tmp_path: Any) -> None:
    vault = Vault(chain, tmp_path)
    vault.stand(STATE, more=1)
    chain.do(VAULT, LOG3, JOINED, word(ID), 7)
    updates, swaps, (letter,) = vault.rows()
    assert (updates, swaps) == ([], [])
    assert letter.endswith("it quotes otherwise than its rule does")


@pytest.mark.parametrize("held", [0, 1 << 112])
def test_an_empty_pool_is_stated_once_it_has_something(chain: Chain, tmp_path: Any, held: int) -> None:
    vault = Vault(chain, tmp_path)
    vault.keep(1, held)
    chain.mine()
    chain.do(VAULT, LOG3, JOINED, word(ID), 7)
    updates, _, errors = vault.rows()
    assert (told(updates), errors) == ([DOUBT], [])
    vault.stand(STATE)
    chain.do(VAULT, LOG3, JOINED, word(ID), 7)
    updates, _, _ = vault.rows()
    assert (told(updates), vault.known().balances) == ([DOUBT, WHOLE], STATE.balances)


def test_a_stranger_that_logs_alike_is_no_pool(chain: Chain, tmp_path: Any) -> None:
    vault = Vault(chain, tmp_path)
    put(chain, STRANGER, code({}))
    chain.do(STRANGER, LOG4, SWAP, word(ID), word(COINS[0]), word(COINS[1]), 5, 4)
    assert vault.rows() == ([], [], [])
