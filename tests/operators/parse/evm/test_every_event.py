"""Every event of every contract whose pools are read: what changes what a swap pays is told, or leaves it in doubt."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mevflow.operators.parse.evm.events import topic_of
from mevflow.operators.parse.evm.logs import LogJson, read_logs
from mevflow.operators.parse.evm.parse import parse_logs
from mevflow.operators.parse.evm.pools import (
    CONCENTRATED,
    CURVE,
    PAIR,
    SLIPSTREAM,
    STABLE,
    V4,
    VOLATILE,
    WEIGHTED,
    EvmPool,
    PoolTable,
)
from mevflow.sources.evm.collect import EVENTS
from mevflow.v1 import market_pb2 as market

KIND = market.PoolUpdate
POOLS: dict[int, bytes] = {venue: bytes([venue]) * 20 for venue in (PAIR, CONCENTRATED, VOLATILE, STABLE, SLIPSTREAM)}
IDS = [bytes([number]) * 32 for number in (0x41, 0x42)]
SISTER, MAKER, STRANGER, CL_MAKER, MODULE, SINGLETON = (
    bytes([number]) * 20 for number in (0x77, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE)
)
MAKERS = dict.fromkeys(POOLS, MAKER) | {SLIPSTREAM: CL_MAKER}
_SPACING: dict[int, int] = {CONCENTRATED: 60, SLIPSTREAM: 60}
TABLE = PoolTable(
    EvmPool(
        *(address, venue, b"\xaa" * 20, b"\xbb" * 20, 3000, _SPACING.get(venue, 0)),
        factory=MAKERS[venue],
        fee_module=MODULE if venue == SLIPSTREAM else b"",
    )
    for address, venue in [*((address, venue) for venue, address in POOLS.items()), (SISTER, SLIPSTREAM)]
)
for one in IDS:
    TABLE.add(EvmPool(one, V4, b"\xaa" * 20, b"\xbb" * 20, 3000, 60, factory=SINGLETON))
COINS, THREE = (b"\xaa" * 20, b"\xbb" * 20, b"\xcc" * 20), bytes([CURVE]) * 20
TABLE.add(EvmPool(THREE, CURVE, *COINS[:2], 0, coins=COINS))
VAULT, WEIGHED = b"\xba" * 20, bytes([WEIGHTED]) * 32
TABLE.add(EvmPool(WEIGHED, WEIGHTED, *COINS[:2], 0, factory=VAULT, fee_module=WEIGHED[:20], coins=COINS))
#: Pools of which factories and modules speak.
MANAGED = {MAKER: {POOLS[VOLATILE], POOLS[STABLE]}, CL_MAKER: {POOLS[SLIPSTREAM], SISTER}}
MANAGED[MODULE] = MANAGED[CL_MAKER]
READ = "read"
_TOKEN = {
    "a pool's shares": "Transfer(address,address,uint256) Approval(address,address,uint256)",
}
#: Of each contract every event of its interface: read, or quiet for a reason.
POOL_EVENTS: dict[int, dict[str, str]] = {
    # Uniswap/v2-core IUniswapV2Pair.sol; SushiSwap's and PancakeSwap's pairs are the same.
    PAIR: {
        READ: "Sync(uint112,uint112) Swap(address,uint256,uint256,uint256,uint256,address)",
        "the Sync before it tells": "Mint(address,uint256,uint256) Burn(address,uint256,uint256,address)",
        **_TOKEN,
    },
    # Uniswap/v3-core IUniswapV3PoolEvents.sol, PancakeSwap's, and velodrome-finance/slipstream ICLPoolEvents.sol.
    CONCENTRATED: {
        READ: """Initialize(uint160,int24) Swap(address,address,int256,int256,uint160,uint128,int24)
            Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)
            Mint(address,address,int24,int24,uint128,uint256,uint256)
            Burn(address,int24,int24,uint128,uint256,uint256)""",
        "what was earned": """Collect(address,address,int24,int24,uint128,uint128)
            CollectProtocol(address,address,uint128,uint128) CollectFees(address,uint128,uint128)""",
        "what is lent comes back with a fee beside the liquidity": """Flash(address,address,uint256,uint256,uint256,
            uint256)""",
        "an oracle": "IncreaseObservationCardinalityNext(uint16,uint16)",
        "how a fee is shared": """SetFeeProtocol(uint8,uint8,uint8,uint8) SetFeeProtocol(uint32,uint32,uint32,uint32)
            SetLmPoolEvent(address)""",
    },
    # aerodrome-finance/contracts IPool.sol; Velodrome's are the same.
    VOLATILE: {
        READ: "Sync(uint256,uint256) Swap(address,address,uint256,uint256,uint256,uint256)",
        "the Sync after it tells, and the Swap what was paid": "Fees(address,uint256,uint256)",
        "the Sync before it tells": "Mint(address,uint256,uint256) Burn(address,address,uint256,uint256)",
        "what was earned": "Claim(address,address,uint256,uint256)",
        "a name": "EIP712DomainChanged()",
        **_TOKEN,
    },
}
POOL_EVENTS |= {STABLE: POOL_EVENTS[VOLATILE], SLIPSTREAM: POOL_EVENTS[CONCENTRATED]}
FACTORY_EVENTS: dict[int, dict[str, str]] = {
    # IUniswapV2Factory.sol: a pair's fee is fixed.
    PAIR: {"pools to come": "PairCreated(address,address,address,uint256)"},
    # IUniswapV3Factory.sol, IPancakeV3Factory.sol: a pool's fee is fixed when it is made.
    CONCENTRATED: {
        "pools to come": """PoolCreated(address,address,uint24,int24,address) FeeAmountEnabled(uint24,int24)
            FeeAmountExtraInfoUpdated(uint24,bool,bool) WhiteListAdded(address,bool)""",
        "owners": "OwnerChanged(address,address) SetLmPoolDeployer(address)",
    },
    # aerodrome-finance/contracts IPoolFactory.sol.
    VOLATILE: {
        READ: "SetCustomFee(address,uint256) SetPauseState(bool)",
        "pools to come": "PoolCreated(address,address,bool,address,uint256)",
        "owners": "SetFeeManager(address) SetPauser(address) SetVoter(address)",
    },
    # velodrome-finance/slipstream ICLFactory.sol.
    SLIPSTREAM: {
        READ: "SwapFeeModuleChanged(address,address)",
        "pools to come": "PoolCreated(address,address,int24,address) TickSpacingEnabled(int24,uint24)",
        "owners": """OwnerChanged(address,address) SwapFeeManagerChanged(address,address)
            UnstakedFeeManagerChanged(address,address)""",
        "how a fee is shared": """UnstakedFeeModuleChanged(address,address)
            DefaultUnstakedFeeChanged(uint24,uint24)""",
    },
}
FACTORY_EVENTS[STABLE] = FACTORY_EVENTS[VOLATILE]
#: velodrome-finance/slipstream ICustomFeeModule.sol, IDynamicFeeModule.sol.
MODULE_EVENTS: dict[int, dict[str, str]] = {
    SLIPSTREAM: {
        READ: """CustomFeeSet(address,uint24) ScalingFactorSet(address,uint256) FeeCapSet(address,uint256)
            DynamicFeeReset(address) DefaultScalingFactorSet(uint256) DefaultFeeCapSet(uint256)
            InitialFeeSet(address,uint24) InitialFeeDisabled(address)""",
        "a fee that moves is closed already": "SecondsAgoSet(uint32)",
        "who pays less by being who they are": """DiscountedRegistered(address,uint24)
            DiscountedDeregistered(address)""",
    },
}
TABLES = {"pool": POOL_EVENTS, "factory": FACTORY_EVENTS, "module": MODULE_EVENTS}


def names(events: str) -> list[str]:
    """Signatures, which hold no blanks."""
    return ["".join(one.split()) for one in re.findall(r"\w+\([^)]*\)", events)]


CASES = [
    (venue, emitter, event, reason)
    for emitter, tables in TABLES.items()
    for venue, reasons in tables.items()
    for reason, events in reasons.items()
    for event in names(events)
]


def log(emitter: bytes, topics: list[bytes], data: bytes = b"") -> LogJson:
    return LogJson(
        address="0x" + emitter.hex(),
        topics=["0x" + topic.hex() for topic in topics],
        data="0x" + data.hex(),
        block_number="0x7",
        transaction_hash="0x" + "ab" * 32,
        transaction_index="0x1",
        log_index="0x3",
    )


def parsed(one: LogJson) -> tuple[list[dict[str, Any]], dict[int, set[bytes]], list[str]]:
    logs, bad = read_logs([one])
    out = parse_logs(market.CHAIN_BASE, logs, TABLE, logs.timestamp_s)
    rows = [row for batch in out.batches() for row in batch.to_pylist()]
    return rows, out.asked, [each.reason for each in out.rejected] + [each.detail for each in bad]


def word(value: int | bytes) -> bytes:
    return (value if isinstance(value, bytes) else value.to_bytes(32, "big")).rjust(32, b"\0")


@pytest.mark.parametrize(("venue", "emitter", "event", "reason"), CASES)
def test_an_event_that_changes_a_pool_says_so(venue: int, emitter: str, event: str, reason: str) -> None:
    """Nothing but its name is readable: no topics, no data."""
    by = {"pool": POOLS[venue], "factory": MAKERS[venue], "module": MODULE}[emitter]
    rows, asked, _ = parsed(log(by, [topic_of(event)]))
    assert bool(rows) == (reason == READ)
    assert (topic_of(event) in EVENTS) == (reason == READ or event.startswith("Fees("))
    assert {row["pool"] for row in rows} == (set() if reason != READ else MANAGED.get(by, {by}))
    assert asked == ({7: MANAGED[by]} if reason == READ and by in MANAGED else {})
    for row in rows:
        assert row["kind"] in (KIND.KIND_UNSPECIFIED, KIND.KIND_LIQUIDITY, KIND.KIND_REMOVE)
        assert not any(row[name] for name in ("reserve_a", "sqrt_price_x96", "liquidity", "liquidity_delta"))
        assert row["fee_pips"] == (3000 if venue in (PAIR, CONCENTRATED) else 0)


def test_an_event_is_named_once() -> None:
    for tables in TABLES.values():
        for reasons in tables.values():
            found = [event for events in reasons.values() for event in names(events)]
            assert len(found) == len(set(found))
            assert all(event.count("(") == event.count(")") == 1 for event in found)


CUSTOM_FEE, PAUSED = topic_of("SetCustomFee(address,uint256)"), topic_of("SetPauseState(bool)")


@pytest.mark.parametrize(("said", "fee_pips"), [(5, 500), (100, 10_000), (420, 0), (9_999, 999_900)])
def test_a_fee_of_its_own_is_told_where_the_factory_says_it(said: int, fee_pips: int) -> None:
    (row,), asked, errors = parsed(log(MAKER, [CUSTOM_FEE, word(POOLS[VOLATILE])], word(said)))
    assert (row["pool"], row["kind"], row["fee_pips"]) == (POOLS[VOLATILE], KIND.KIND_FEE, fee_pips)
    assert (row["slot"], row["tx_index"], row["ix_index"]) == (7, 1, 3)
    assert (asked, errors) == ({}, [])


@pytest.mark.parametrize("said", [0, 10_000, 1 << 200])
def test_a_fee_that_the_factory_does_not_say_is_asked_of_it(said: int) -> None:
    """0 is the factory's own, which may have changed without an event."""
    (row,), asked, errors = parsed(log(MAKER, [CUSTOM_FEE, word(POOLS[VOLATILE])], word(said)))
    assert (row["pool"], row["kind"], row["fee_pips"]) == (POOLS[VOLATILE], KIND.KIND_REMOVE, 0)
    assert (asked, errors) == ({7: {POOLS[VOLATILE]}}, [])


@pytest.mark.parametrize(
    "one",
    [
        log(MAKER, [CUSTOM_FEE], word(5)),
        log(MAKER, [CUSTOM_FEE, word(POOLS[VOLATILE])], word(5)[1:]),
        log(MAKER, [PAUSED], word(1)),
        log(MAKER, [PAUSED], word(0)),
    ],
)
def test_what_may_be_true_of_all_pools_of_a_factory_is_asked_of_it(one: LogJson) -> None:
    rows, asked, errors = parsed(one)
    ours = MANAGED[MAKER]
    assert {(row["pool"], row["kind"]) for row in rows} == {(pool, KIND.KIND_REMOVE) for pool in ours}
    assert asked == {7: ours}
    assert errors == ([] if one.topics[0] == "0x" + PAUSED.hex() else ["malformed"])


@pytest.mark.parametrize(
    "one",
    [
        log(STRANGER, [CUSTOM_FEE, word(POOLS[VOLATILE])], word(5)),
        log(STRANGER, [PAUSED], word(1)),
        log(MAKER, [CUSTOM_FEE, word(POOLS[PAIR])], word(5)),
        log(MAKER, [CUSTOM_FEE, word(b"\x99" * 20)], word(5)),
    ],
)
def test_a_word_counts_of_the_pools_of_who_says_it(one: LogJson) -> None:
    assert parsed(one) == ([], {}, [])


def test_a_log_of_a_factory_that_cannot_be_read_may_mean_any_of_its_pools() -> None:
    wrong = log(MAKER, [])
    wrong.topics = ["0x12"]
    # Another log tells about where it stands.
    logs, bad = read_logs([log(MAKER, [PAUSED]), wrong])
    out = parse_logs(market.CHAIN_BASE, logs, TABLE, logs.timestamp_s)
    rows = [row for batch in out.batches() for row in batch.to_pylist()]
    assert len(bad) == 1
    assert {row["kind"] for row in rows} == {KIND.KIND_REMOVE}
    assert [row["ix_index"] for row in rows] == [3, 3, 3, 3]


def test_what_a_swap_of_a_managed_pool_does_not_show_is_not_told() -> None:
    """The fee that was known when the pool was found may have changed since."""
    for pool, told in ((POOLS[VOLATILE], 0), (POOLS[PAIR], 3000)):
        signature = "Sync(uint256,uint256)" if told == 0 else "Sync(uint112,uint112)"
        (row,), _, _ = parsed(log(pool, [topic_of(signature)], word(5) + word(6)))
        assert (row["fee_pips"], bool(row["reserve_a"])) == (told, True)
        (row,), _, errors = parsed(log(pool, [topic_of(signature)], word(5)))
        assert (row["fee_pips"], row["reserve_a"], errors) == (told, b"", ["malformed"])


@pytest.mark.parametrize("signature", ["CustomFeeSet(address,uint24)", "DynamicFeeReset(address)"])
def test_what_a_fee_module_says_of_one_pool_is_asked_of_that_one(signature: str) -> None:
    for by, pool in ((MODULE, SISTER), (STRANGER, None), (CL_MAKER, SISTER)):
        rows, asked, errors = parsed(log(by, [topic_of(signature), word(SISTER)]))
        assert {(row["pool"], row["kind"]) for row in rows} == ({(pool, KIND.KIND_REMOVE)} if pool else set())
        assert (asked, errors) == ({7: {pool}} if pool else {}, [])
    assert parsed(log(MODULE, [topic_of(signature), word(POOLS[VOLATILE])])) == ([], {}, [])


#: Uniswap/v4-core IPoolManager.sol, IProtocolFees.sol, IERC6909Claims.sol, Owned.
SINGLETON_EVENTS = {
    READ: """Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)
        Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)
        ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32) ProtocolFeeUpdated(bytes32,uint24)""",
    "a gift to positions": "Donate(bytes32,address,uint256,uint256)",
    "owners": """ProtocolFeeControllerUpdated(address) OwnershipTransferred(address,address)
        OperatorSet(address,address,bool)""",
    "claims on tokens": """Transfer(address,address,address,uint256,uint256)
        Approval(address,address,uint256,uint256)""",
}


@pytest.mark.parametrize(
    ("event", "reason"), [(event, reason) for reason, events in SINGLETON_EVENTS.items() for event in names(events)]
)
def test_an_event_of_the_v4_manager_that_changes_a_pool_says_so_of_that_one(event: str, reason: str) -> None:
    rows, _, _ = parsed(log(SINGLETON, [topic_of(event), IDS[1]]))
    assert {row["pool"] for row in rows} == ({IDS[1]} if reason == READ else set())
    assert (topic_of(event) in EVENTS) == (reason == READ)
    for row in rows:
        assert row["kind"] in (KIND.KIND_UNSPECIFIED, KIND.KIND_LIQUIDITY, KIND.KIND_REMOVE)
        assert not row["fee_pips"]
    assert parsed(log(STRANGER, [topic_of(event), IDS[1]])) == ([], {}, [])
    assert parsed(log(SINGLETON, [topic_of(event), b"\x99" * 32])) == ([], {}, [])


def test_a_log_of_the_v4_manager_that_cannot_be_read_may_mean_any_of_its_pools() -> None:
    wrong = log(SINGLETON, [topic_of("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)"), IDS[0]])
    wrong.data = "0x123"
    logs, bad = read_logs([log(MAKER, [PAUSED]), wrong])
    out = parse_logs(market.CHAIN_BASE, logs, TABLE, logs.timestamp_s)
    rows = [row for batch in out.batches() for row in batch.to_pylist()]
    assert len(bad) == 1
    assert {row["pool"] for row in rows} == {*MANAGED[MAKER], *IDS}


#: curvefi/curve-contract StableSwap3Pool.vy, curvefi/curve-factory Plain{2,3,4}Basic.vy, curvefi/stableswap-ng
#: CurveStableSwapNG.vy.
CURVE_EVENTS = {
    READ: """TokenExchange(address,int128,uint256,int128,uint256)
        AddLiquidity(address,uint256[2],uint256[2],uint256,uint256)
        AddLiquidity(address,uint256[3],uint256[3],uint256,uint256)
        AddLiquidity(address,uint256[4],uint256[4],uint256,uint256)
        AddLiquidity(address,uint256[],uint256[],uint256,uint256)
        RemoveLiquidity(address,uint256[2],uint256[2],uint256) RemoveLiquidity(address,uint256[3],uint256[3],uint256)
        RemoveLiquidity(address,uint256[4],uint256[4],uint256) RemoveLiquidity(address,uint256[],uint256[],uint256)
        RemoveLiquidityImbalance(address,uint256[2],uint256[2],uint256,uint256)
        RemoveLiquidityImbalance(address,uint256[3],uint256[3],uint256,uint256)
        RemoveLiquidityImbalance(address,uint256[4],uint256[4],uint256,uint256)
        RemoveLiquidityImbalance(address,uint256[],uint256[],uint256,uint256)
        RemoveLiquidityOne(address,uint256,uint256) RemoveLiquidityOne(address,uint256,uint256,uint256)
        RemoveLiquidityOne(address,int128,uint256,uint256,uint256)
        RampA(uint256,uint256,uint256,uint256) StopRampA(uint256,uint256)
        NewFee(uint256,uint256) ApplyNewFee(uint256) ApplyNewFee(uint256,uint256)""",
    "a fee to come": "CommitNewFee(uint256,uint256,uint256)",
    "a metapool's, which is not read": "TokenExchangeUnderlying(address,int128,uint256,int128,uint256)",
    "an oracle": "SetNewMATime(uint256,uint256)",
    "owners": "CommitNewAdmin(uint256,address) NewAdmin(address)",
    **_TOKEN,
}


@pytest.mark.parametrize(
    ("event", "reason"), [(event, reason) for reason, events in CURVE_EVENTS.items() for event in names(events)]
)
def test_an_event_that_changes_a_curve_pool_says_so_and_asks_for_it(event: str, reason: str) -> None:
    rows, asked, _ = parsed(log(THREE, [topic_of(event)]))
    assert (topic_of(event) in EVENTS) == (reason == READ)
    assert [(row["pool"], row["kind"]) for row in rows] == ([(THREE, KIND.KIND_UNSPECIFIED)] if reason == READ else [])
    assert asked == ({7: {THREE}} if reason == READ else {})
    assert parsed(log(STRANGER, [topic_of(event)])) == ([], {}, [])


EXCHANGE = topic_of("TokenExchange(address,int128,uint256,int128,uint256)")


@pytest.mark.parametrize(("sold", "bought"), [(0, 1), (2, 0), (1, 2)])
def test_an_exchange_names_the_coins_that_its_numbers_mean(sold: int, bought: int) -> None:
    (row,), asked, errors = parsed(
        log(THREE, [EXCHANGE, word(STRANGER)], word(sold) + word(500) + word(bought) + word(498))
    )
    assert (row["mint_in"], row["mint_out"]) == (COINS[sold], COINS[bought])
    assert [int.from_bytes(row[name], "little") for name in ("amount_in", "amount_out")] == [500, 498]
    assert (row["venue"], row["a_to_b"], row["fee_pips"], row["reserve_a"]) == (CURVE, sold < bought, 0, b"")
    assert (asked, errors) == ({7: {THREE}}, [])


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ((0, 500, 3, 498), "malformed"),
        ((0, 500, 0, 498), "malformed"),
        ((-1 % (1 << 256), 500, 1, 498), "malformed"),
        ((1 << 64, 500, 1, 498), "malformed"),
        ((0, 0, 1, 498), "impossible_amount"),
        ((0, 1 << 128, 1, 498), "impossible_amount"),
        ((0, 500, 1, 1 << 128), "impossible_amount"),
        ((0, 500, 1), "malformed"),
    ],
)
def test_an_exchange_that_cannot_be_leaves_its_pool_in_doubt(told: tuple[int, ...], reason: str) -> None:
    (row,), asked, errors = parsed(log(THREE, [EXCHANGE, word(STRANGER)], b"".join(map(word, told))))
    assert (row["pool"], row["kind"]) == (THREE, KIND.KIND_UNSPECIFIED)
    assert (asked, errors) == ({7: {THREE}}, [reason])


#: balancer/balancer-v2-monorepo IVault.sol, and of a weighted pool BasePool.sol, WeightedPool.sol and their parents.
VAULT_EVENTS = {
    READ: """Swap(bytes32,address,address,uint256,uint256)
        PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])
        PoolBalanceManaged(bytes32,address,address,int256,int256)""",
    "pools to come, which log when they are joined": """PoolRegistered(bytes32,address,uint8)
        TokensRegistered(bytes32,address[],address[])""",
    "a weighted pool keeps its tokens": "TokensDeregistered(bytes32,address[])",
    "balances beside the pools": """FlashLoan(address,address,uint256,uint256)
        InternalBalanceChanged(address,address,int256) ExternalBalanceTransfer(address,address,address,uint256)""",
    "owners": "AuthorizerChanged(address) RelayerApprovalChanged(address,address,bool)",
}
WEIGHTED_EVENTS = {
    READ: "SwapFeePercentageChanged(uint256) PausedStateChanged(bool)",
    "exits alone change": "RecoveryModeStateChanged(bool)",
    "shares of those who own it": "ProtocolFeePercentageCacheUpdated(uint256,uint256)",
    **_TOKEN,
}


@pytest.mark.parametrize(
    ("event", "reason"), [(event, reason) for reason, events in VAULT_EVENTS.items() for event in names(events)]
)
def test_an_event_of_the_vault_that_changes_a_pool_says_so_and_asks_for_it(event: str, reason: str) -> None:
    rows, asked, _ = parsed(log(VAULT, [topic_of(event), WEIGHED]))
    read = reason == READ
    assert (topic_of(event) in EVENTS) == read
    assert [(row["pool"], row["kind"]) for row in rows] == ([(WEIGHED, KIND.KIND_UNSPECIFIED)] if read else [])
    assert asked == ({7: {WEIGHED}} if read else {})
    assert parsed(log(STRANGER, [topic_of(event), WEIGHED])) == ([], {}, [])


@pytest.mark.parametrize(
    ("event", "reason"), [(event, reason) for reason, events in WEIGHTED_EVENTS.items() for event in names(events)]
)
def test_an_event_of_a_weighted_pool_that_changes_it_closes_it_until_it_is_asked(event: str, reason: str) -> None:
    for emitter in (WEIGHED[:20], VAULT):
        rows, asked, _ = parsed(log(emitter, [topic_of(event)]))
        assert (topic_of(event) in EVENTS) == (reason == READ)
        assert [(row["pool"], row["kind"]) for row in rows] == ([(WEIGHED, KIND.KIND_REMOVE)] if reason == READ else [])
        assert asked == ({7: {WEIGHED}} if reason == READ else {})


VAULT_SWAP = topic_of("Swap(bytes32,address,address,uint256,uint256)")


@pytest.mark.parametrize(("sold", "bought"), [(0, 1), (2, 0), (1, 2)])
def test_a_swap_of_the_vault_names_its_tokens(sold: int, bought: int) -> None:
    topics = [VAULT_SWAP, WEIGHED, word(COINS[sold]), word(COINS[bought])]
    (row,), asked, errors = parsed(log(VAULT, topics, word(500) + word(498)))
    assert (row["mint_in"], row["mint_out"]) == (COINS[sold], COINS[bought])
    assert [int.from_bytes(row[name], "little") for name in ("amount_in", "amount_out")] == [500, 498]
    assert (row["venue"], row["a_to_b"], row["pool"], row["reserve_a"]) == (WEIGHTED, sold < bought, WEIGHED, b"")
    assert (asked, errors) == ({7: {WEIGHED}}, [])


@pytest.mark.parametrize(
    ("tokens", "amounts", "reason"),
    [
        ((COINS[0], COINS[0]), (5, 4), "malformed"),
        ((COINS[0], STRANGER), (5, 4), "malformed"),
        ((COINS[0],), (5, 4), "malformed"),
        ((COINS[0], COINS[1]), (5, 4, 3), "malformed"),
        ((COINS[0], COINS[1]), (5,), "malformed"),
        ((COINS[0], COINS[1]), (1 << 112, 4), "impossible_amount"),
        ((COINS[0], COINS[1]), (5, 1 << 200), "impossible_amount"),
    ],
)
def test_a_swap_of_the_vault_that_cannot_be_leaves_its_pool_in_doubt(
    tokens: tuple[bytes, ...], amounts: tuple[int, ...], reason: str
) -> None:
    topics = [VAULT_SWAP, WEIGHED, *map(word, tokens)]
    (row,), asked, errors = parsed(log(VAULT, topics, b"".join(map(word, amounts))))
    assert (row["pool"], row["kind"]) == (WEIGHED, KIND.KIND_UNSPECIFIED)
    assert (asked, errors) == ({7: {WEIGHED}}, [reason])
