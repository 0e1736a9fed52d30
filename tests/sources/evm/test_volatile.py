"""Aerodrome's and Velodrome's volatile pools on a node: found by their factory, stated whole, a fee by each swap."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from mevflow.operators.errors import UnreachableError
from mevflow.operators.parse.evm.events import SET_CUSTOM_FEE, SET_PAUSE_STATE
from mevflow.operators.sizing.venues import reserves_cost, reserves_out
from mevflow.sources.evm import stated
from mevflow.sources.evm.blocks import Block, LogFilter
from mevflow.sources.evm.collect import EVENTS, PoolCollector
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Follower, Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings, NodeError
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain, word
from tests.evm.scripted import ACT, KEEP, SAY, code, put
from tests.operators.amm.recorded import degenbot, results

FACTORY, POOL, STABLE, STRANGER = (bytes([number]) * 20 for number in (0xF1, 0xA1, 0xA2, 0xA3))
TOKEN0, TOKEN1 = b"\x11" * 20, b"\x22" * 20
VENUE = market.VENUE_AERODROME_VOLATILE
_AMOUNTS = ("amount_in", "amount_out", "reserve_a", "reserve_b")


def pool(stable: int, factory: bytes = FACTORY) -> bytes:
    answers = {"factory()": word(factory), "token0()": word(TOKEN0), "token1()": word(TOKEN1), "stable()": stable}
    return code(answers, pool=True)


class VolatilePool:
    """``Pool.sol`` of aerodrome-finance/contracts, its volatile side, in plain integers."""

    def __init__(self, reserves: tuple[int, int], fee_bps: int) -> None:
        self.reserves, self.fee_bps = list(reserves), fee_bps

    def swap(self, side: int, amount: int) -> tuple[list[int], int]:
        """Arguments of ``act`` that the real pool would log, and the output."""
        fee = amount * self.fee_bps // 10_000
        out = (amount - fee) * self.reserves[1 - side] // (self.reserves[side] + amount - fee)
        self.reserves[side] += amount - fee
        self.reserves[1 - side] -= out
        both = [(fee, 0, amount, 0, 0, out), (0, fee, 0, amount, out, 0)][side]
        return [*self.reserves, *both], out


class Collected:
    """What a collector has read of the chain."""

    def __init__(self, chain: Chain) -> None:
        nodes = Nodes([EndpointSettings(url=chain.url, max_rps=1e6)])
        factory = Factory(address="0x" + FACTORY.hex(), kind="volatile")
        self.follower = Follower(nodes, LogFilter(EVENTS))
        self.collector = PoolCollector(market.CHAIN_BASE, "base", nodes, {factory.key: factory})
        self.collector.fork(self.follower.start(chain.head()))

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
        """Updates, swaps and dead letters since the last call; amounts are integers."""
        found: tuple[list[dict[str, Any]], ...] = ([], [], [])
        while steps := self.follower.step():
            for step in steps:
                if isinstance(step, Fork):
                    self.collector.fork(step)
                elif isinstance(step, Block):
                    taken = self.collector.take([step])
                    for rows, batch in zip(found, (taken.updates, taken.swaps, taken.errors), strict=True):
                        rows += batch.to_pylist() if batch is not None else []
        for row in (*found[0], *found[1]):
            for name in _AMOUNTS:
                if name in row:
                    row[name] = int.from_bytes(row[name], "little")
        return found[0], found[1], found[2]


def test_volatile_pools_are_read_to_the_unit(chain: Chain) -> None:
    getters = {"getPool(address,address,bool)": word(POOL), "getFee(address,bool)": 30}
    put(chain, FACTORY, code(getters))
    put(chain, POOL, pool(stable=0))
    put(chain, STABLE, pool(stable=1))
    put(chain, STRANGER, pool(stable=0))  # the factory names another pool for these tokens
    begin = (67 * 10**16, 24 * 10**18)
    for address in (POOL, STABLE, STRANGER):
        for slot, held in enumerate(begin):
            chain.ask("anvil_setStorageAt", "0x" + address.hex(), hex(slot), f"0x{held:064x}")
    chain.mine()
    collected, real, chance = Collected(chain), VolatilePool(begin, 30), random.Random(4)
    expected = []
    for number in range(40):
        if number == 20:
            real.fee_bps = 100  # the factory's owner says another fee, and no pool logs it
        side, amount = chance.randrange(2), int(10 ** chance.uniform(2, 18))
        before = tuple(real.reserves)
        told, out = real.swap(side, amount)
        assert reserves_out(VENUE, before, real.fee_bps * 100, side == 0, amount) == out
        state = PairState(*before, real.fee_bps, real.fee_bps, 10_000, split_fee=True, fee_leaves=True)
        quote = uniswap_v2.quote_exact_in(state, side == 0, amount)
        assert [quote.reserve_a_after, quote.reserve_b_after] == real.reserves
        after = uniswap_v2.after_swap(state, *((amount, 0, 0, out), (0, amount, out, 0))[side])
        assert [after.reserve_a, after.reserve_b] == real.reserves
        for address in (POOL, STABLE, STRANGER):
            chain.do(address, ACT, *told)
        fee = real.fee_bps * 100 if amount >= 10**6 else 0
        expected.append((side == 0, amount, out, *real.reserves, fee))
        if chance.random() < 0.3:
            chain.mine()
    chain.mine()
    updates, swaps, errors = collected.rows()
    assert errors == []
    (whole,) = updates
    assert (whole["kind"], whole["venue"], whole["pool"]) == (market.PoolUpdate.KIND_SNAPSHOT, VENUE, POOL)
    assert (whole["reserve_a"], whole["reserve_b"], whole["fee_pips"]) == (*begin, 3_000)
    columns = ("a_to_b", *_AMOUNTS, "fee_pips")
    assert [tuple(row[name] for name in columns) for row in swaps] == expected
    assert {(row["venue"], row["pool"]) for row in swaps} == {(VENUE, POOL)}
    assert {row["fee_pips"] for row in swaps} == {0, 3_000, 10_000}


def test_what_the_factory_says_of_a_pool_is_read_at_its_place(chain: Chain) -> None:
    """Another fee, the factory's own again, a pause and its end."""
    fee, pause = 0, 1
    answers = {"getPool(address,address,bool)": word(POOL)}
    put(chain, FACTORY, code(answers, kept={"getFee(address,bool)": fee, "isPaused()": pause}))
    put(chain, POOL, pool(stable=0))
    for slot in (0, 1):
        chain.ask("anvil_setStorageAt", "0x" + POOL.hex(), hex(slot), f"0x{10**18:064x}")
    chain.do(FACTORY, KEEP, fee, 30)
    chain.mine()
    collected, real = Collected(chain), VolatilePool((10**18, 10**18), 30)
    kinds = market.PoolUpdate
    custom, paused = (int.from_bytes(topic) for topic in (SET_CUSTOM_FEE, SET_PAUSE_STATE))
    chain.do(POOL, ACT, *real.swap(0, 10**5)[0])
    held = real.reserves[0]
    said: tuple[tuple[int, int, list[int]], ...] = (
        (fee, 5, [custom, word(POOL), 5]),
        (fee, 70, [custom, word(POOL), 0]),
        (fee, 0, [custom, word(POOL), 420]),
        (pause, 1, [paused, 0, 1]),
        (pause, 0, [paused, 0, 0]),
    )
    for slot, value, logged in said:
        chain.do(FACTORY, KEEP, slot, value)
        chain.do(FACTORY, SAY, *logged)
        chain.mine()
    updates, swaps, errors = collected.rows()
    assert [row["reason"] for row in errors] == ["closed_pool"]
    assert [row["fee_pips"] for row in swaps] == [0]
    assert [(row["kind"], row["fee_pips"], row["reserve_a"]) for row in updates] == [
        (kinds.KIND_SNAPSHOT, 3_000, 10**18),  # as it was before the first block: the fee, too
        (kinds.KIND_FEE, 500, 0),
        (kinds.KIND_REMOVE, 0, 0),
        (kinds.KIND_SNAPSHOT, 7_000, held),
        (kinds.KIND_FEE, 0, 0),
        (kinds.KIND_REMOVE, 0, 0),  # paused
        (kinds.KIND_REMOVE, 0, 0),  # and so says the factory at the end of the block
        (kinds.KIND_REMOVE, 0, 0),
        (kinds.KIND_SNAPSHOT, 0, held),
        (kinds.KIND_FEE, 0, 0),
    ]
    places = [(row["slot"], row["tx_index"]) for row in updates]
    assert places == sorted(places)


def test_recorded_calls_of_an_aerodrome_pool() -> None:
    recorded = degenbot("aerodrome_v2_state")
    held = recorded["reserves_token0"], recorded["reserves_token1"]
    calls = results("aerodrome_v2_get_amount_out")
    assert len(calls) == 26
    for (_, _, pair, amount), value in calls:
        a_to_b = pair.startswith(recorded["token0"]["symbol"])
        assert reserves_out(VENUE, held, recorded["fee_raw"] * 100, a_to_b, int(amount)) == value


def test_the_cost_of_an_output_is_the_least_that_gives_it() -> None:
    chance = random.Random(9)
    for _ in range(300):
        held = (int(10 ** chance.uniform(3, 26)), int(10 ** chance.uniform(3, 26)))
        fee, a_to_b = chance.choice((0, 500, 3_000, 10_000)), chance.random() < 0.5
        wanted = max(1, int(held[1 if a_to_b else 0] * chance.uniform(0, 0.5)))
        paid = reserves_cost(VENUE, held, fee, a_to_b, wanted)
        assert paid is not None
        assert (reserves_out(VENUE, held, fee, a_to_b, paid) or 0) >= wanted
        less = reserves_out(VENUE, held, fee, a_to_b, paid - 1) if paid > 1 else 0
        assert (less or 0) < wanted


def test_reserves_that_no_row_can_tell_are_not_stated(chain: Chain) -> None:
    """Anybody makes a token of any supply, and a pool of it."""
    put(chain, FACTORY, code({"getPool(address,address,bool)": word(POOL), "getFee(address,bool)": 30}))
    put(chain, POOL, pool(stable=0))
    for slot, held in enumerate((1 << 128, 10**18)):
        chain.ask("anvil_setStorageAt", "0x" + POOL.hex(), hex(slot), f"0x{held:064x}")
    chain.mine()
    collected = Collected(chain)
    chain.do(POOL, ACT, 1 << 129, 10**17, 0, 0, 1 << 128, 0, 0, 9 * 10**17)
    chain.mine()
    updates, swaps, errors = collected.rows()
    assert ({row["kind"] for row in updates}, swaps) == ({market.PoolUpdate.KIND_UNSPECIFIED}, [])
    assert [row["reason"] for row in errors] == ["malformed", "no_sync"]


@pytest.mark.parametrize("fails", [1, 2])
def test_a_node_that_fails_after_it_named_a_pool_loses_no_state(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """When it is asked for the state before the block, or after it (a log of the factory)."""
    put(chain, FACTORY, code({"getPool(address,address,bool)": word(POOL), "getFee(address,bool)": 5}))
    put(chain, POOL, pool(stable=0))
    for slot in (0, 1):
        chain.ask("anvil_setStorageAt", "0x" + POOL.hex(), hex(slot), f"0x{10**18:064x}")
    chain.mine()
    collected = Collected(chain)
    chain.do(POOL, ACT, *VolatilePool((10**18, 10**18), 5).swap(0, 10**9)[0])
    chain.do(FACTORY, SAY, int.from_bytes(SET_CUSTOM_FEE), word(POOL), 0)
    chain.mine()
    read, broken = stated.states, [fails]

    def states(*given: Any) -> Any:
        if broken:
            broken[0] -= 1
            if broken[0] == 0:
                raise NodeError("hangs up")
        return read(*given)

    monkeypatch.setattr(stated, "states", states)
    blocks: list[Block] = []
    while steps := collected.follower.step():
        blocks += [step for step in steps if isinstance(step, Block)]
    with pytest.raises(UnreachableError):
        collected.collector.take(blocks)
    assert len(collected.collector.table) == 0
    broken.clear()
    taken = collected.collector.take(blocks)
    assert taken.updates is not None
    assert taken.swaps is not None
    assert [(row["kind"], row["fee_pips"]) for row in taken.updates.to_pylist()] == [
        (market.PoolUpdate.KIND_SNAPSHOT, 500),
        (market.PoolUpdate.KIND_REMOVE, 0),
        (market.PoolUpdate.KIND_SNAPSHOT, 500),
    ]
    assert taken.swaps.num_rows == 1
