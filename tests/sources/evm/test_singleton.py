"""Uniswap v4's pools on a node: found by their keys, stated from storage, closed where a fee has a direction."""

from __future__ import annotations

from typing import Any

import pytest
from Crypto.Hash import keccak

from mevflow.operators.parse.evm.events import V4_INITIALIZE, V4_LIQUIDITY, V4_PROTOCOL_FEE, V4_SWAP
from mevflow.operators.parse.evm.pools import V4, EvmPool
from mevflow.operators.stage import StageContext
from mevflow.sources.evm.audit import said
from mevflow.sources.evm.blocks import LogFilter
from mevflow.sources.evm.collect import EVENTS, PoolCollector
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Follower, Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.sources.evm.singleton import bitmap_call, liquidity_call, slot0_call, tick_call
from mevflow.sources.evm.source import EvmSettings, EvmSource
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain, word
from tests.evm.scripted import KEEP, LOG3, LOG4, SAY, code, put

MANAGER, POSITIONS, ANYBODY = b"\xf4" * 20, b"\xf5" * 20, word(b"\x07" * 20)
KIND = market.PoolUpdate
ONE = 1 << 96
KEY = (0, word(b"\x22" * 20), 3_000, 200, 0)
INITIALIZE, SWAP, LIQUIDITY, FEE = (
    int.from_bytes(topic) for topic in (V4_INITIALIZE, V4_SWAP, V4_LIQUIDITY, V4_PROTOCOL_FEE)
)


def id_of(key: tuple[int, ...]) -> bytes:
    return keccak.new(digest_bits=256, data=b"".join(one.to_bytes(32) for one in key)).digest()


POOL = EvmPool(id_of(KEY), V4, bytes(20), b"\x22" * 20, 3_000, 200, factory=MANAGER)
NAME = word(POOL.address)
OTHER_ID, OTHER_POOL = b"\x09" * 32, "0x" + "44" * 20


def packed(tick: int, protocol: int = 0, price: int = ONE) -> int:
    """``Slot0``: price, tick, the protocol's fees, the pool's fee."""
    return price | (tick % (1 << 24)) << 160 | protocol << 184 | 3_000 << 208


class Collecting:
    """A collector of a manager's pools, of which a position manager may know one key."""

    def __init__(self, chain: Chain, key: tuple[int, ...] | None) -> None:
        put(chain, MANAGER, code({}))
        put(chain, POSITIONS, code({} if key is None else {"poolKeys(bytes25)": key}))
        chain.mine()
        self.nodes = Nodes([EndpointSettings(url=chain.url, max_rps=1e6)])
        manager = Factory(address="0x" + MANAGER.hex(), kind="v4", positions="0x" + POSITIONS.hex())
        self.follower = Follower(self.nodes, LogFilter(EVENTS))
        self.collector = PoolCollector(market.CHAIN_BASE, "base", self.nodes, {manager.key: manager})
        self.collector.fork(self.follower.start(chain.head()))

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
        found: tuple[list[dict[str, Any]], ...] = ([], [], [])
        while steps := self.follower.step():
            for step in steps:
                assert not isinstance(step, Fork)
                taken = self.collector.take([step])
                for rows, batch in zip(found, (taken.updates, taken.swaps, taken.errors), strict=True):
                    rows += batch.to_pylist() if batch is not None else []
        return found[0], found[1], found[2]


def stand(chain: Chain, tick: int, liquidity: int, protocol: int = 0) -> None:
    """What the manager's storage holds of the pool: a position from -200 to 400, too."""
    net = liquidity << 128 | liquidity, (-liquidity % (1 << 128)) << 128 | liquidity
    for call, value in (
        (slot0_call(POOL), packed(tick, protocol)),
        (liquidity_call(POOL), liquidity),
        (bitmap_call(POOL, -1), 1 << 255),
        (bitmap_call(POOL, 0), 1 << 2),
        (tick_call(POOL, -200), net[0]),
        (tick_call(POOL, 400), net[1]),
    ):
        chain.do(MANAGER, KEEP, call.words[0], value)


def test_a_pool_is_stated_from_storage_before_its_first_swap(chain: Chain) -> None:
    collecting = Collecting(chain, KEY)
    stand(chain, -3, 10**18)
    chain.mine()
    stand(chain, 7, 10**18)
    chain.do(MANAGER, LOG3, SWAP, NAME, ANYBODY, -500 % (1 << 256), 498, ONE + 5, 10**18, 7, 3_000)
    chain.do(MANAGER, LOG3, SWAP, NAME, ANYBODY, 20, -30 % (1 << 256), ONE + 6, 10**18, 7, 3_000)
    chain.mine()
    updates, swaps, errors = collecting.rows()
    assert errors == []
    (whole,) = updates
    assert (whole["kind"], whole["venue"], whole["pool"]) == (KIND.KIND_SNAPSHOT, V4, POOL.address)
    assert (whole["tick"], whole["fee_pips"], whole["tick_spacing"]) == (-3, 3_000, 200)
    assert (whole["mint_a"], whole["decimals_a"], whole["symbol_a"]) == (bytes(20), 18, "native")
    nets = [(one["tick"], int.from_bytes(one["liquidity_net"], "little", signed=True)) for one in whole["ticks"]]
    assert nets == [(-200, 10**18), (400, -(10**18))]
    told = [
        (row["a_to_b"], *(int.from_bytes(row[name], "little") for name in ("amount_in", "amount_out"))) for row in swaps
    ]
    assert told == [(True, 500, 498), (False, 30, 20)]
    assert [(row["pool"], row["fee_pips"], row["tick"]) for row in swaps] == [(POOL.address, 3_000, 7)] * 2
    head = bytes.fromhex(chain.ask("eth_getBlockByNumber", "latest", False)["hash"][2:])
    assert said(chain.node, [POOL], head) == [(ONE, 7, 10**18)]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (None, "nobody tells its key"),
        ((*KEY[:4], 99), "it has hooks"),
        ((*KEY[:2], 0x800000, 200, 0), "its fee is not its own"),
        ((*KEY[:2], 500, 200, 0), "nobody tells its key"),  # another pool's
    ],
)
def test_a_pool_that_cannot_be_read_is_told_once(chain: Chain, key: tuple[int, ...] | None, why: str) -> None:
    pool = NAME if key is None or key[2] == 500 else word(id_of(key))
    collecting = Collecting(chain, key)
    for _ in range(2):
        chain.do(MANAGER, LOG3, SWAP, pool, ANYBODY, 5, -6 % (1 << 256), ONE, 9, 0, 3_000)
        chain.mine()
    updates, swaps, (letter,) = collecting.rows()
    assert (updates, swaps) == ([], [])
    assert letter["reason"] == "closed_pool"
    assert letter["detail"].endswith(why)


def test_letters_about_pools_of_one_block_have_places_of_their_own(chain: Chain) -> None:
    """Rows are stored by their places: of two at one place the later would replace the other."""
    collecting = Collecting(chain, None)
    for pool in range(1, 4):
        chain.do(MANAGER, LOG3, SWAP, pool, ANYBODY, 5, -6 % (1 << 256), ONE, 9, 0, 3_000)
    chain.mine()
    _, _, letters = collecting.rows()
    assert len({row["offset"] for row in letters}) == len(letters) == 3
    assert {row["offset"] >> 20 for row in letters} == {chain.head()}


def test_pools_of_a_manager_are_named_by_their_ids(chain: Chain) -> None:
    """The manager is heard for a pool that is named, and its other pools are left alone; so is one that is denied."""
    collecting = Collecting(chain, KEY)
    stand(chain, 7, 10**18)
    chain.mine()
    chain.do(MANAGER, LOG3, SWAP, NAME, ANYBODY, 20, -30 % (1 << 256), ONE + 6, 10**18, 7, 3_000)
    chain.do(MANAGER, LOG3, SWAP, word(OTHER_ID), ANYBODY, 20, -30 % (1 << 256), ONE + 6, 10**18, 7, 3_000)
    block = chain.mine()
    factories = collecting.collector.factories
    for choice, rows in (
        ({"only": {POOL.address}}, 1),
        ({"only": {b"\x08" * 32}}, 0),
        ({"deny": {POOL.address, OTHER_ID}}, 0),
    ):
        named = {name: frozenset(ids) for name, ids in choice.items()}
        collecting.collector = PoolCollector(market.CHAIN_BASE, "base", collecting.nodes, factories, **named)
        collecting.follower = Follower(collecting.nodes, LogFilter(EVENTS))
        collecting.follower.start(block)
        _, swaps, errors = collecting.rows()
        assert (len(swaps), errors) == (rows, [])
    for named_pool, heard in ((OTHER_POOL, False), ("0x" + POOL.address.hex(), True)):
        settings = EvmSettings.model_validate(
            {
                "chain": "base",
                "endpoints": [{"url": chain.url}],
                "pools": {"addresses": [named_pool], "factories": [factories[MANAGER]], "known_factories": False},
            }
        )
        source = EvmSource(settings, StageContext("test", "source"))
        assert (MANAGER in source._follower.wanted.addresses) == heard


def test_a_factory_of_pairs_says_what_they_charge() -> None:
    """A fee that nobody told is not zero; other kinds say it by pool."""
    place = "0x" + MANAGER.hex()
    with pytest.raises(ValueError, match="fee_pips"):
        Factory(address=place, kind="pairs")
    assert Factory(address=place, kind="pairs", fee_pips=1).fee_pips == 1


def test_a_pool_that_is_made_tells_its_key_itself(chain: Chain) -> None:
    """Another one with hooks is closed; a protocol's fee of two directions closes it, too, and one of one does not."""
    collecting = Collecting(chain, None)
    hooked = (*KEY[:4], 5)
    stand(chain, 0, 0)
    chain.do(MANAGER, LOG4, INITIALIZE, NAME, *KEY, ONE, 0)
    chain.do(MANAGER, LOG4, INITIALIZE, word(id_of(hooked)), *hooked, ONE, 0)
    chain.mine()
    stand(chain, 0, 10**9)
    chain.do(MANAGER, LOG3, LIQUIDITY, NAME, ANYBODY, -200 % (1 << 256), 400, 10**9, 77)
    chain.mine()
    for protocol in (300 << 12 | 300, 300 << 12 | 100, 0):
        stand(chain, 0, 10**9, protocol)
        chain.do(MANAGER, SAY, FEE, NAME, protocol)
        chain.mine()
    chain.do(MANAGER, LOG3, LIQUIDITY, NAME, ANYBODY, -200 % (1 << 256), 400, -5 % (1 << 256), 77)
    chain.do(MANAGER, LOG3, LIQUIDITY, NAME, ANYBODY, -200 % (1 << 256), 400, 0, 77)
    chain.do(MANAGER, LOG3, LIQUIDITY, NAME, ANYBODY, -201 % (1 << 256), 400, 5, 77)
    chain.mine()
    updates, swaps, errors = collecting.rows()
    assert swaps == []
    assert [row["reason"] for row in errors] == ["closed_pool", "closed_pool", "malformed"]
    assert [(row["kind"], row["fee_pips"]) for row in updates] == [
        (KIND.KIND_CREATE, 3_000),
        (KIND.KIND_SNAPSHOT, 3_000),
        (KIND.KIND_LIQUIDITY, 0),
        (KIND.KIND_FEE, 3_300),
        (KIND.KIND_SNAPSHOT, 3_300),
        (KIND.KIND_REMOVE, 0),
        (KIND.KIND_REMOVE, 0),
        (KIND.KIND_FEE, 3_000),
        (KIND.KIND_SNAPSHOT, 3_000),
        (KIND.KIND_LIQUIDITY, 0),
        (KIND.KIND_LIQUIDITY, 0),
    ]
    deltas = [int.from_bytes(row["liquidity_delta"], "little", signed=True) for row in updates]
    assert [deltas[at] for at in (2, 9, 10)] == [10**9, -5, 0]
    assert {row["pool"] for row in updates} == {POOL.address}
