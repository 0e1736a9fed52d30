"""Curve's pools on a node: named by their factories, stated after every event, closed where a row cannot say the rule.

What a pool answers is scripted by the rule in integers; the rule is held against the contracts in
``tests/operators/amm/stable``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.codec import codec
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.errors import UnreachableError
from mevflow.operators.parse.evm.events import CURVE_EXCHANGE, topic_of
from mevflow.operators.parse.evm.pools import CURVE, EvmPool
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.evm.blocks import Block, LogFilter
from mevflow.sources.evm.collect import EVENTS, CollectedRows, PoolCollector
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.follow import Follower, Fork
from mevflow.sources.evm.nodes import Nodes
from mevflow.sources.evm.rpc import EndpointSettings
from mevflow.sources.evm.source import located
from mevflow.v1 import market_pb2 as market
from tests.evm.chain import Chain, word
from tests.evm.scripted import KEEP, LOG2, code, put

FACTORY, POOL, STRANGER = (bytes([number]) * 20 for number in (0xF1, 0xA1, 0xA3))
COINS = tuple(bytes([number]) * 20 for number in (0x31, 0x22, 0x13))
DECIMALS = (18, 6, 8)
KIND = market.PoolUpdate
NG = StableState((5 * 10**24, 4 * 10**12, 6 * 10**14), tuple(10 ** (36 - one) for one in DECIMALS), 40_000, 100,
                 4_000_000, 5 * 10**9, offpeg_fee_multiplier=2 * 10**10, one_division=True)  # fmt: skip
PLAIN = replace(NG, offpeg_fee_multiplier=0, one_division=False)
FIRST = replace(PLAIN, amp=2_000, amp_precision=1, view_fee_after_scaling=True)
#: Slots: balances from 0, quotes from 16 on.
QUOTES, FEE, AMP, FUTURE, OFFPEG, NAMES = 16, 32, 33, 34, 35, 48
ADDED, RAMPED, NEW_FEE = (
    int.from_bytes(topic_of(signature))
    for signature in (
        "AddLiquidity(address,uint256[],uint256[],uint256,uint256)",
        "RampA(uint256,uint256,uint256,uint256)",
        "ApplyNewFee(uint256,uint256)",
    )
)
Answers = dict[str, int | tuple[int, ...]]


def listed(*values: int) -> tuple[int, ...]:
    """A list as the ABI has it."""
    return (32, len(values), *values)


NAMED = tuple(map(word, COINS))
#: What a factory of each kind says of its pool.
SAID: dict[str, Answers] = {
    "curve_ng": {"get_coins(address)": listed(*NAMED), "is_meta(address)": 0,
                 "get_pool_asset_types(address)": listed(0, 0, 0)},
    "curve": {"get_coins(address)": (*NAMED, 0), "is_meta(address)": 0, "get_implementation_address(address)": 77,
              "plain_implementations(uint256,uint256)": 77},
    "curve_pool": {},
}  # fmt: skip
RULES = {"curve_ng": NG, "curve": PLAIN, "curve_pool": FIRST}


class CurveWorld:
    """A scripted pool and its factory beside a collector and a detector that read them."""

    def __init__(self, chain: Chain, kind: str, folder: Any, said: Answers | None = None) -> None:
        self.chain, self.curve = chain, RULES[kind]
        put(chain, FACTORY, code(SAID[kind] if said is None else said))
        for coin, decimals in zip(COINS, DECIMALS, strict=True):
            put(chain, coin, code({"decimals()": decimals, "symbol()": (32, 2, 0x5431 << 240)}))
        answers: Answers = {"admin_fee()": 5 * 10**9} if kind != "curve" else {}
        kept = {"fee()": FEE, "future_A()": FUTURE, "A()" if kind == "curve_pool" else "A_precise()": AMP}
        if kind == "curve_ng":
            answers |= {"stored_rates()": listed(*NG.rates)}
            kept |= {"offpeg_fee_multiplier()": OFFPEG}
        by_number = {"balances(uint256)": 0, "get_dy(int128,int128,uint256)": QUOTES}
        put(chain, POOL, code(answers, kept=kept, kept_from=by_number | {"coins(uint256)": NAMES}))
        for i, coin in enumerate(NAMED):
            self.keep(NAMES + i, coin)
        self.stand(self.curve)
        chain.mine()
        maker = Factory.model_validate(
            {"address": "0x" + (POOL if kind == "curve_pool" else FACTORY).hex(), "kind": kind}
        )
        nodes = Nodes([EndpointSettings(url=chain.url, max_rps=1e6)])
        self.follower = Follower(nodes, LogFilter(EVENTS))
        self.collector = PoolCollector(market.CHAIN_ETHEREUM, "ethereum", nodes, {maker.key: maker})
        registry = folder / "registry.yaml"
        with registry.open("w") as file:
            YAML().dump({"tokens": []}, file)
        self.detector = ArbitrageDetect(DetectSettings(registry=str(registry)), StageContext("watch", "found"))
        self._detect(self.collector.fork(self.follower.start(chain.head())))

    def keep(self, slot: int, value: int) -> None:
        """Have the contract answer so from the next block on."""
        self.chain.do(POOL, KEEP, slot, value)

    def stand(self, curve: StableState, quotes: int = 0) -> None:
        """Have the contract be in a state from the next block on; ``quotes`` is added to what it quotes."""
        for i, held in enumerate(curve.balances):
            self.keep(i, held)
            said = stable_swap.get_dy(curve, i, (i + 1) % len(COINS), held // 1_000) if held else 0
            self.keep(QUOTES + i, said + quotes)
        for slot, value in (
            (FEE, curve.fee),
            (AMP, curve.amp),
            (FUTURE, curve.amp),
            (OFFPEG, curve.offpeg_fee_multiplier),
        ):
            self.keep(slot, value)
        self.curve = curve

    def exchange(self, i: int, j: int, amount: int) -> None:
        """Log an exchange by the rule, and stand as it leaves the pool."""
        quote = stable_swap.quote_exact_in(self.curve, i, j, amount)
        self.stand(quote.applied_to(self.curve))
        self.log(int.from_bytes(CURVE_EXCHANGE), 7, i, amount, j, quote.amount_out)

    def log(self, *words: int, pool: bytes = POOL) -> None:
        self.chain.do(pool, LOG2, *words)

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        """Updates, swaps and what dead letters say, mined and read; the detector has them, too."""
        self.chain.mine()
        found: tuple[list[dict[str, Any]], ...] = ([], [], [])
        while steps := self.follower.step():
            for step in steps:
                assert not isinstance(step, Fork)
                taken = self.collector.take([step])
                self.block: Block = step
                self._detect(taken)
                for rows, batch in zip(found, (taken.updates, taken.swaps, taken.errors), strict=True):
                    rows += batch.to_pylist() if batch is not None else []
        return found[0], found[1], [row["detail"] for row in found[2]]

    def known(self) -> Any:
        """The curve that the detector knows; None where it is in doubt."""
        book = self.detector._market.book
        return book.info[book.index[market.CHAIN_ETHEREUM][POOL]].curve

    def _detect(self, taken: CollectedRows) -> None:
        given: list[tuple[str, pa.RecordBatch]] = []
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


WHOLE, DOUBT, CLOSED = (KIND.KIND_SNAPSHOT, True), (KIND.KIND_UNSPECIFIED, False), (KIND.KIND_REMOVE, False)


@pytest.mark.parametrize("kind", SAID)
def test_a_pool_is_stated_before_its_first_row_and_after_every_event(chain: Chain, kind: str, tmp_path: Any) -> None:
    """Its exchanges are followed by its rule, coin by coin, and what cannot be followed is read of the contract."""
    world = CurveWorld(chain, kind, tmp_path)
    before = world.curve
    world.exchange(2, 0, 10**13)
    updates, swaps, errors = world.rows()
    assert (told(updates), errors) == ([WHOLE, WHOLE], [])
    first = updates[0]
    assert (first["venue"], first["pool"], first["mint_a"], first["decimals_b"]) == (CURVE, POOL, COINS[0], 6)
    assert (first["fee_pips"], first["symbol_a"]) == (400, "T1")
    assert [int.from_bytes(coin["balance"], "little") for coin in first["stable"]["coins"]] == [*before.balances]
    assert [(row["mint_in"], row["mint_out"]) for row in swaps] == [(COINS[2], COINS[0])]
    assert world.known() == replace(world.curve, view_fee_after_scaling=False)
    pool = world.collector.table.of(POOL)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(pool), type=EvmPool) == pool  # as a snapshot has it
    world.exchange(0, 1, 10**21)
    world.exchange(1, 2, 10**10)
    world.rows()
    assert world.known().balances == world.curve.balances
    world.stand(replace(world.curve, balances=(7 * 10**24, 7 * 10**12, 7 * 10**14)))
    world.log(ADDED, 7)
    updates, _, _ = world.rows()
    assert (told(updates), world.known().balances) == ([DOUBT, WHOLE], world.curve.balances)
    assert world.collector.audit(world.block, 5) is None
    world.stand(replace(world.curve, balances=(7 * 10**24, 7 * 10**12 + 1, 7 * 10**14)))  # and no log says so
    chain.mine()
    (block,) = world.follower.step()
    assert isinstance(block, Block)
    found = world.collector.audit(block, 5)
    assert found is not None
    assert found.updates is not None
    assert told(found.updates.to_pylist()) == [WHOLE]


def test_what_the_rule_does_not_give_is_in_doubt_until_the_block_ends(chain: Chain, tmp_path: Any) -> None:
    world = CurveWorld(chain, "curve_ng", tmp_path)
    world.rows()
    held = world.curve
    world.stand(replace(held, balances=(held.balances[0] + 10**20, held.balances[1] - 5 * 10**7, held.balances[2])))
    world.log(int.from_bytes(CURVE_EXCHANGE), 7, 0, 10**20, 1, 5 * 10**7)
    chain.mine()
    (block,) = world.follower.step()
    assert isinstance(block, Block)
    taken = world.collector.take([block])
    assert taken.updates is not None
    world._detect(replace(taken, updates=taken.updates.slice(0, 1)))
    assert world.known() is None
    world._detect(replace(taken, updates=taken.updates.slice(1), swaps=None))
    assert world.known().balances == world.curve.balances


def test_a_pool_is_closed_while_its_amplification_moves(chain: Chain, tmp_path: Any) -> None:
    world = CurveWorld(chain, "curve_ng", tmp_path)
    world.exchange(0, 1, 10**20)
    world.rows()
    world.keep(FUTURE, 80_000)
    world.log(RAMPED, 40_000, 80_000, 0, 1)
    updates, _, (letter,) = world.rows()
    assert (told(updates), world.known()) == ([DOUBT, CLOSED], None)
    assert letter.endswith("its amplification moves without an event")
    world.exchange(1, 0, 10**9)
    world.keep(FUTURE, 80_000)
    updates, _, _ = world.rows()
    assert (told(updates), world.known()) == ([CLOSED], None)
    world.stand(replace(world.curve, amp=80_000, fee=7_777_777))
    world.log(NEW_FEE, 7_777_777, 0)
    updates, _, errors = world.rows()
    assert (told(updates), errors) == ([DOUBT, WHOLE], [])
    assert (world.known().amp, world.known().fee, updates[1]["fee_pips"]) == (80_000, 7_777_777, 777)


@pytest.mark.parametrize(
    ("kind", "said", "why"),
    [
        ("curve_ng", {"is_meta(address)": 1}, "it is a metapool"),
        ("curve", {"is_meta(address)": 1}, "it is a metapool"),
        ("curve_ng", {"get_pool_asset_types(address)": listed(0, 1, 0)}, "the rates of its coins may move"),
        ("curve_ng", {"get_pool_asset_types(address)": listed(0, 0)}, "the rates of its coins may move"),
        # A list that says more than it has, and one of more coins than any pool has: neither is read in part.
        ("curve_ng", {"get_pool_asset_types(address)": (32, 3, 0)}, "the rates of its coins may move"),
        ("curve_ng", {"get_coins(address)": listed(*NAMED, *range(1, 7))}, ""),
        ("curve", {"get_implementation_address(address)": 78}, "it is of an implementation that is not known"),
        ("curve_ng", {"get_coins(address)": listed(*reversed(NAMED))}, "are not those of plain tokens"),
        ("curve_ng", {"get_coins(address)": listed(), "is_meta(address)": 1}, ""),  # no pool of its own
        ("curve", {"get_coins(address)": (0, 0, 0, 0)}, ""),
    ],
)
def test_a_pool_that_cannot_be_read_is_told_once(
    chain: Chain, tmp_path: Any, kind: str, said: Answers, why: str
) -> None:
    world = CurveWorld(chain, kind, tmp_path, SAID[kind] | said)
    found = []
    for _ in range(2):
        world.exchange(0, 1, 10**20)
        updates, swaps, errors = world.rows()
        assert (updates, swaps) == ([], [])
        found += errors
    assert len(found) == bool(why)
    assert all(f"0x{POOL.hex()} is closed" in one and why in one for one in found)


def test_why_a_pool_is_closed_is_told_when_its_blocks_are_taken_again(
    chain: Chain, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = CurveWorld(chain, "curve", tmp_path, SAID["curve"] | {"is_meta(address)": 1})
    world.rows()
    world.log(ADDED, 7)
    chain.mine()
    (block,) = world.follower.step()
    assert isinstance(block, Block)

    def unreachable(*_: Any) -> None:
        raise UnreachableError("no node answers")

    with monkeypatch.context() as patched:
        patched.setattr(PoolCollector, "_ask", unreachable)
        with pytest.raises(UnreachableError):
            world.collector.take([block])
    taken = world.collector.take([block])
    assert taken.errors is not None
    assert taken.errors.column("reason").to_pylist() == ["closed_pool"]


def test_a_pool_that_quotes_otherwise_is_closed(chain: Chain, tmp_path: Any) -> None:
    world = CurveWorld(chain, "curve_ng", tmp_path)
    world.stand(world.curve, quotes=1)
    world.log(ADDED, 7)
    updates, swaps, (letter,) = world.rows()
    assert (updates, swaps) == ([], [])
    assert letter.endswith("it quotes otherwise than its rule does")


@pytest.mark.parametrize("held", [0, 1 << 128])
def test_an_empty_pool_is_stated_once_it_has_something(chain: Chain, tmp_path: Any, held: int) -> None:
    """And so is one that holds more than a row can tell."""
    world = CurveWorld(chain, "curve_ng", tmp_path)
    full = world.curve
    world.keep(1, held)
    chain.mine()
    world.log(ADDED, 7)
    updates, _, errors = world.rows()
    assert (told(updates), errors) == ([DOUBT], [])
    world.stand(full)
    world.log(ADDED, 7)
    updates, _, _ = world.rows()
    assert (told(updates), world.known().balances) == ([DOUBT, WHOLE], full.balances)


def test_a_stranger_that_logs_alike_is_no_pool(chain: Chain, tmp_path: Any) -> None:
    world = CurveWorld(chain, "curve_pool", tmp_path)
    put(chain, STRANGER, code({}))
    world.log(ADDED, 7, pool=STRANGER)
    assert world.rows() == ([], [], [])
