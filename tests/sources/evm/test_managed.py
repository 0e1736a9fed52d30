"""Stable and Slipstream pools on a node: found by their factories, stated whole, closed where a fee moves by itself."""

from __future__ import annotations

from typing import Any

import pytest

from mevflow.operators.parse.evm.events import LENDING_EVENTS, topic_of
from mevflow.operators.parse.evm.pools import SLIPSTREAM, STABLE
from mevflow.sources.evm.blocks import LogFilter
from mevflow.sources.evm.collect import EVENTS, PoolCollector
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Follower, Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain, word
from tests.evm.scripted import ACT, KEEP, LOG4, SAY, code, put

FACTORY, POOL, SISTER, MODULE = (bytes([number]) * 20 for number in (0xF1, 0xA1, 0xA2, 0xAD))
TOKEN0, TOKEN1 = b"\x11" * 20, b"\x22" * 20
KIND = market.PoolUpdate
COLUMNS = ("pool", "kind", "fee_pips", "slot")


class Collecting:
    """What a collector reads of the chain: updates and the reasons of dead letters, swaps apart."""

    def __init__(self, chain: Chain, kind: str) -> None:
        nodes = Nodes([EndpointSettings(url=chain.url, max_rps=1e6)])
        factory = Factory.model_validate({"address": "0x" + FACTORY.hex(), "kind": kind})
        self.follower = Follower(nodes, LogFilter(EVENTS))
        self.collector = PoolCollector(market.CHAIN_BASE, "base", nodes, {factory.key: factory})
        self.collector.fork(self.follower.start(chain.head()))
        self.swaps: list[dict[str, Any]] = []

    def rows(self) -> tuple[list[dict[str, Any]], list[str]]:
        updates: list[dict[str, Any]] = []
        errors: list[str] = []
        while steps := self.follower.step():
            for step in steps:
                assert not isinstance(step, Fork)
                taken = self.collector.take([step])
                updates += taken.updates.to_pylist() if taken.updates is not None else []
                self.swaps += taken.swaps.to_pylist() if taken.swaps is not None else []
                errors += taken.errors.column("reason").to_pylist() if taken.errors is not None else []
        return updates, errors


def told(updates: list[dict[str, Any]]) -> list[tuple[bytes, int, int]]:
    return [(row["pool"], row["kind"], row["fee_pips"]) for row in updates]


@pytest.mark.parametrize(("units", "found"), [((10**6, 10**18), True), ((0, 10**18), False), ((10**6, 3), False)])
def test_a_stable_pool_has_the_decimals_that_it_says(chain: Chain, units: tuple[int, int], found: bool) -> None:
    """Its curve is of those; a contract that says none that can be is no pool."""
    put(chain, FACTORY, code({"getPool(address,address,bool)": word(POOL), "getFee(address,bool)": 5}))
    answers: dict[str, int | tuple[int, ...]] = {"factory()": word(FACTORY), "stable()": 1}
    answers |= {"token0()": word(TOKEN0), "token1()": word(TOKEN1), "metadata()": (*units, 0, 0, 1, 0, 0)}
    put(chain, POOL, code(answers, pool=True))
    for slot, held in enumerate((5 * 10**12, 5 * 10**24)):
        chain.ask("anvil_setStorageAt", "0x" + POOL.hex(), hex(slot), f"0x{held:064x}")
    chain.mine()
    collecting = Collecting(chain, "volatile")
    chain.do(POOL, ACT, 6 * 10**12 - 5 * 10**8, 4 * 10**24, 5 * 10**8, 0, 10**12, 0, 0, 10**24)
    chain.mine()
    updates, errors = collecting.rows()
    assert errors == []
    if not found:
        assert (updates, collecting.swaps) == ([], [])
        return
    (row,) = updates
    assert (row["venue"], row["decimals_a"], row["decimals_b"], row["fee_pips"]) == (STABLE, 6, 18, 500)
    assert int.from_bytes(row["reserve_b"], "little") == 5 * 10**24
    (swap,) = collecting.swaps
    assert (swap["venue"], swap["fee_pips"], swap["a_to_b"]) == (STABLE, 500, True)


def slipstream(chain: Chain, module: bytes, fee: int) -> None:
    """A factory and a pool of it, whose fee is kept in slot 0 of the pool and whose module in slot 0 of the factory."""
    put(chain, FACTORY, code({"getPool(address,address,int24)": word(POOL)}, kept={"swapFeeModule()": 0}))
    answers: dict[str, int | tuple[int, ...]] = {"factory()": word(FACTORY), "tickSpacing()": 100, "liquidity()": 77}
    answers |= {"token0()": word(TOKEN0), "token1()": word(TOKEN1), "slot0()": (1 << 96, 0, 0, 1, 1, 1)}
    answers |= {"tickBitmap(int16)": 0}
    put(chain, POOL, code(answers, kept={"fee()": 0}))
    chain.do(FACTORY, KEEP, 0, word(module))
    chain.do(POOL, KEEP, 0, fee)
    chain.mine()


INCREASE, CHANGED, CUSTOM, SCALED = (
    int.from_bytes(topic_of(signature))
    for signature in (
        "Initialize(uint160,int24)",
        "SwapFeeModuleChanged(address,address)",
        "CustomFeeSet(address,uint24)",
        "DefaultScalingFactorSet(uint256)",
    )
)


def test_a_slipstream_pool_has_the_fee_of_its_module(chain: Chain) -> None:
    """Stated again where the module says another; closed while the module's fee moves with the price."""
    slipstream(chain, MODULE, 500)
    fixed, moving = (
        code({"customFee(address)": 0, "defaultScalingFactor()": factor, "dynamicFeeConfig(address)": (0, 0, 0, 0, 0)})
        for factor in (0, 10**6)
    )
    put(chain, MODULE, fixed)
    put(chain, SISTER, moving)
    chain.mine()
    collecting = Collecting(chain, "slipstream")
    chain.do(POOL, SAY, INCREASE, 0, 0)  # cannot be read: what it is now nobody knows
    chain.mine()
    chain.do(POOL, KEEP, 0, 777)
    chain.do(MODULE, SAY, CUSTOM, word(POOL), 0)
    chain.do(SISTER, SAY, CUSTOM, word(POOL), 0)  # nobody's module yet
    chain.mine()
    chain.do(FACTORY, KEEP, 0, word(SISTER))
    chain.do(FACTORY, SAY, CHANGED, word(MODULE), word(SISTER))
    chain.mine()
    chain.do(MODULE, SAY, CUSTOM, word(POOL), 0)  # nobody's any more
    chain.mine()
    put(chain, SISTER, fixed)
    chain.do(SISTER, SAY, SCALED, 0, 0)
    chain.mine()
    updates, errors = collecting.rows()
    assert told(updates) == [
        (POOL, KIND.KIND_SNAPSHOT, 500),
        (POOL, KIND.KIND_UNSPECIFIED, 0),
        (POOL, KIND.KIND_REMOVE, 0),
        (POOL, KIND.KIND_SNAPSHOT, 777),
        (POOL, KIND.KIND_REMOVE, 0),
        (POOL, KIND.KIND_REMOVE, 0),
        (POOL, KIND.KIND_REMOVE, 0),
        (POOL, KIND.KIND_SNAPSHOT, 777),
    ]
    assert {row["venue"] for row in updates} == {SLIPSTREAM}
    assert (updates[0]["tick_spacing"], updates[0]["known_tick_lower"]) == (100, -887_272)
    assert errors == ["malformed", "closed_pool"]


@pytest.mark.parametrize(
    ("answers", "closed"),
    [
        ({"customFee(address)": 300}, False),
        ({"getFee(address)": 300}, True),  # another module may say anything
        ({"customFee(address)": 420, "defaultScalingFactor()": 9, "dynamicFeeConfig(address)": (420, 0, 9)}, False),
        ({"customFee(address)": 0, "defaultScalingFactor()": 0, "dynamicFeeConfig(address)": (0, 9, 9)}, True),
        ({"customFee(address)": 0, "defaultScalingFactor()": 0, "dynamicFeeConfig(address)": (0, 9, 0, 1, 5)}, True),
        ({"customFee(address)": 0, "defaultScalingFactor()": 0, "dynamicFeeConfig(address)": (0, 9, 0)}, False),
        ({"customFee(address)": 0, "defaultScalingFactor()": 0}, True),
    ],
)
def test_a_module_whose_fee_moves_by_itself_closes_its_pools(
    chain: Chain, answers: dict[str, int | tuple[int, ...]], closed: bool
) -> None:
    slipstream(chain, MODULE, 500)
    put(chain, MODULE, code(answers))
    chain.mine()
    collecting = Collecting(chain, "slipstream")
    chain.do(POOL, SAY, INCREASE, 0, 0)
    chain.mine()
    updates, errors = collecting.rows()
    assert told(updates)[0] == (POOL, KIND.KIND_REMOVE if closed else KIND.KIND_SNAPSHOT, 0 if closed else 500)
    assert errors.count("closed_pool") == closed


def test_a_pool_without_a_module_has_its_spacings_fee(chain: Chain) -> None:
    slipstream(chain, b"", 500)
    collecting = Collecting(chain, "slipstream")
    chain.do(POOL, SAY, INCREASE, 0, 0)
    chain.mine()
    assert told(collecting.rows()[0])[0] == (POOL, KIND.KIND_SNAPSHOT, 500)
    assert collecting.collector.managers() == {FACTORY}


def test_a_liquidation_is_read_of_whoever_logs_it(chain: Chain) -> None:
    """It is stated beside the pools of its block, asks nobody for anything, and is no pool to audit."""
    lender = b"\xae" * 20
    put(chain, lender, code({}))
    slipstream(chain, b"", 500)
    collecting = Collecting(chain, "slipstream")
    chain.do(POOL, SAY, INCREASE, 0, 0)
    aave = int.from_bytes(LENDING_EVENTS[0])
    chain.do(lender, LOG4, aave, word(TOKEN0), word(TOKEN1), 7, 1_000, 1_050, word(b"\x08" * 20), 0)
    chain.mine()
    updates, errors = collecting.rows()
    (row,) = [one for one in updates if one["kind"] == KIND.KIND_LIQUIDATION]
    assert errors == ["malformed"]  # the pool's
    assert (row["pool"], row["mint_a"], row["mint_b"], row["signer"]) == (lender, TOKEN0, TOKEN1, b"\x08" * 20)
    assert int.from_bytes(row["reserve_a"], "little") == 1_050
    assert lender not in collecting.collector.told.known
    assert lender not in collecting.collector.table
