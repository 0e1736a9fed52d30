"""Pool events of Solana programs other than swaps: liquidity moved, a pool created.

Layouts: LiquidityIncreased, LiquidityDecreased, LiquidityRepositioned, PositionOpened, PoolInitialized of orca-
so/whirlpools (``events.rs``); PoolCreatedEvent, CreatePersonalPositionEvent, LiquidityChangeEvent,
IncreaseLiquidityEvent, DecreaseLiquidityEvent of raydium-io/raydium-clmm (``states``); LpChangeEvent of raydium-
io/raydium-cp-swap; InitLog, DepositLog, WithdrawLog of raydium-io/raydium-amm (``log.rs``); AddLiquidity,
RemoveLiquidity, LbPairCreate and those of limit orders, fees and positions of MeteoraAg/dlmm-sdk (``dlmm.json``).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.accounts.registry import METEORA_DLMM, RAYDIUM_CLMM, RAYDIUM_CPMM, WHIRLPOOL
from mevflow.operators.parse.changes import StateChange, as_parse_error
from mevflow.operators.parse.errors import ParseError
from mevflow.v1 import market_pb2 as market

CREATE, LIQUIDITY, FEE, REMOVE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
    market.PoolUpdate.KIND_REMOVE,
)
_RAY_INIT, _RAY_DEPOSIT, _RAY_WITHDRAW = 0, 1, 2
_WITHDRAW = 1


def decode_change(program: bytes, data: bytes) -> StateChange | None:
    """The change that ``data`` (an event of ``program``) states; None for another event. Raises ParseError if cut."""
    read = _EVENTS.get((program, data[:8]))
    if read is None:
        return None
    try:
        return read(AccountReader(data, "pool event", 8, data[:8]))
    except AccountError as wrong:
        raise as_parse_error(wrong, data) from wrong


def is_known(program: bytes, data: bytes) -> bool:
    """Whether ``data`` is an event, other than a swap's, of which it is known what it says of a pool."""
    return (program, data[:8]) in _KNOWN


def decode_ray_change(data: bytes) -> StateChange | None:
    """The change that a ``ray_log`` of Raydium AMM v4 states; None for another entry. Raises ParseError if cut."""
    if not data or data[0] > _RAY_WITHDRAW:
        return None
    read = AccountReader(data, "ray_log", 1, data[:1])
    try:
        if data[0] == _RAY_INIT:
            read.skip(8)
            pc_decimals, coin_decimals = read.u8(), read.u8()
            read.skip(16)
            pc, coin = read.u64(), read.u64()
            decimals = {"decimals_a": coin_decimals, "decimals_b": pc_decimals}
            return StateChange(CREATE, fields={"reserve_a": coin, "reserve_b": pc, **decimals})
        added = data[0] == _RAY_DEPOSIT
        read.skip(24 if added else 16)
        coin, pc = read.u64(), read.u64()
        read.skip(8 + 32)
        moved_coin, moved_pc = read.u64(), read.u64()
        if not added:
            read.require(moved_coin <= coin and moved_pc <= pc, "more is withdrawn than the pool holds")
            moved_coin, moved_pc = -moved_coin, -moved_pc
        return StateChange(LIQUIDITY, fields={"reserve_a": coin + moved_coin, "reserve_b": pc + moved_pc})
    except AccountError as wrong:
        raise as_parse_error(wrong, data) from wrong


def _whirlpool_liquidity(sign: int) -> Callable[[AccountReader], StateChange]:
    def read_event(read: AccountReader) -> StateChange:
        pool, position = read.key(), read.key()
        lower, upper, amount = read.i32(), read.i32(), read.u128()
        fields = {"tick_lower": lower, "tick_upper": upper, "liquidity_delta": sign * amount}
        return StateChange(LIQUIDITY, pool, fields, position, refused=_kept(read, 16))

    return read_event


def _kept(read: AccountReader, skip: int) -> bool:
    """Whether mints kept some of what was moved: two fees after ``skip`` bytes, which old events do not have."""
    if len(read.data) < read.at + skip + 16:
        return False
    read.skip(skip)
    return bool(read.u64() + read.u64())


def _whirlpool_repositioned(read: AccountReader) -> StateChange:
    pool, position = read.key(), read.key()
    ranges = [{"tick_lower": read.i32(), "tick_upper": read.i32()} for _ in range(2)]
    before, after = read.u128(), read.u128()
    put = StateChange(LIQUIDITY, pool, {**ranges[1], "liquidity_delta": after}, position, opens=True)
    refused = False
    if len(read.data) >= read.at + 32 + 34:
        read.skip(32)
        for _ in range(2):  # of either token: what was moved, the fee of it, whether the owner paid
            read.skip(8)
            refused |= bool(read.u64())
            read.skip(1)
    return StateChange(LIQUIDITY, pool, {**ranges[0], "liquidity_delta": -before}, refused=refused, then=put)


def _whirlpool_opened(read: AccountReader) -> StateChange:
    pool, position = read.key(), read.key()
    fields = {"tick_lower": read.i32(), "tick_upper": read.i32(), "liquidity_delta": 0}
    return StateChange(LIQUIDITY, pool, fields, position, opens=True)


def _whirlpool_created(read: AccountReader) -> StateChange:
    pool = read.key()
    read.skip(32)
    fields: dict[str, object] = {"mint_a": read.key(), "mint_b": read.key(), "tick_spacing": read.u16()}
    read.skip(64)
    fields["decimals_a"], fields["decimals_b"] = read.u8(), read.u8()
    fields["sqrt_price_x64"] = read.u128()
    return StateChange(CREATE, pool, fields)


def _clmm_created(read: AccountReader) -> StateChange:
    fields: dict[str, object] = {"mint_a": read.key(), "mint_b": read.key(), "tick_spacing": read.u16()}
    pool = read.key()
    fields["sqrt_price_x64"], fields["tick"] = read.u128(), read.i32()
    return StateChange(CREATE, pool, fields)


def _clmm_position(read: AccountReader) -> StateChange:
    pool = read.key()
    read.skip(64)
    fields = {"tick_lower": read.i32(), "tick_upper": read.i32(), "liquidity_delta": read.u128()}
    return StateChange(LIQUIDITY, pool, fields, refused=_kept(read, 16))


def _clmm_change(read: AccountReader) -> StateChange:
    """The pool's active liquidity before and after: it moves only where the range is active."""
    pool, tick = read.key(), read.i32()
    fields = {"tick": tick, "tick_lower": read.i32(), "tick_upper": read.i32()}
    before, after = read.u128(), read.u128()
    if before != after:
        fields["liquidity_delta"] = after - before
    return StateChange(LIQUIDITY, pool, {**fields, "liquidity": after})


def _clmm_amount(sign: int, skip: int) -> Callable[[AccountReader], StateChange]:
    """``skip`` bytes lie between the liquidity and the fees that mints kept."""

    def read_event(read: AccountReader) -> StateChange:
        read.skip(32)
        fields: dict[str, object] = {"liquidity_delta": sign * read.u128()}
        return StateChange(LIQUIDITY, fields=fields, refused=_kept(read, skip))

    return read_event


def _cpmm_liquidity(read: AccountReader) -> StateChange:
    """A deposit's amounts are what the pool received, a withdrawal's what the owner did: the pool paid the fee too."""
    pool = read.key()
    read.skip(8)
    a, b, moved_a, moved_b, fee_a, fee_b = (read.u64() for _ in range(6))
    if read.u8() == _WITHDRAW:
        moved_a, moved_b = moved_a + fee_a, moved_b + fee_b
        read.require(moved_a <= a and moved_b <= b, "more is withdrawn than the pool holds")
        moved_a, moved_b = -moved_a, -moved_b
    reserves: dict[str, object] = {"reserve_a": a + moved_a, "reserve_b": b + moved_b}
    return StateChange(LIQUIDITY, pool, reserves, refused=bool(fee_a or fee_b))


def _dlmm_liquidity(read: AccountReader) -> StateChange:
    pool = read.key()
    read.skip(32)
    position = read.key()
    read.skip(16)
    return StateChange(LIQUIDITY, pool, {"tick": read.i32()}, position)


def _dlmm_created(read: AccountReader) -> StateChange:
    pool, step = read.key(), read.u16()
    return StateChange(CREATE, pool, {"tick_spacing": step, "mint_a": read.key(), "mint_b": read.key()})


def _dlmm_rebalanced(read: AccountReader) -> StateChange:
    pool, position = read.key(), read.key()
    read.skip(32)
    active = read.i32()
    read.skip(8 * 6)
    ends = [read.i32() for _ in range(4)]
    fields: dict[str, object] = {"tick": active, "tick_lower": min(ends), "tick_upper": max(ends)}
    return StateChange(LIQUIDITY, pool, fields, position, resized=True)


def _dlmm_resized(read: AccountReader) -> StateChange:
    read.skip(32)
    return StateChange(LIQUIDITY, position=read.key(), resized=True)


def _dlmm_moved(read: AccountReader) -> StateChange:
    """The active bin is another."""
    pool = read.key()
    read.skip(4)
    return StateChange(LIQUIDITY, pool, {"tick": read.i32()})


def _dlmm_base_fee(read: AccountReader) -> StateChange:
    pool = read.key()
    read.skip(2)
    factor, power = read.u16(), read.u8()
    read.require(power <= 4, f"a base fee power of {power}")
    return StateChange(FEE, pool, {"dlmm_base": (factor, power)})


def _uncarried(read: AccountReader) -> StateChange:
    return StateChange(REMOVE, read.key())


def _dlmm_cancelled(read: AccountReader) -> StateChange:
    pool = read.key()
    read.skip(64 + 16)
    active, count = read.i32(), read.u32()
    read.require(count <= len(read.data) // 4, f"a list of {count} bins")
    bins = [read.i32() for _ in range(count)]
    fields: dict[str, object] = {"tick": active}
    return StateChange(LIQUIDITY, pool, fields | ({"tick_lower": min(bins), "tick_upper": max(bins)} if bins else {}))


def _limit_order(read: AccountReader) -> StateChange:
    raise ParseError("a limit order, which no state of a pool carries", reason="limit_order", payload=read.data)


def _first(name: str) -> bytes:
    return sha256(f"event:{name}".encode()).digest()[:8]


_EVENTS: dict[tuple[bytes, bytes], Callable[[AccountReader], StateChange]] = {
    (WHIRLPOOL, _first("LiquidityIncreased")): _whirlpool_liquidity(1),
    (WHIRLPOOL, _first("LiquidityDecreased")): _whirlpool_liquidity(-1),
    (WHIRLPOOL, _first("LiquidityRepositioned")): _whirlpool_repositioned,
    (WHIRLPOOL, _first("PositionOpened")): _whirlpool_opened,
    (WHIRLPOOL, _first("PoolInitialized")): _whirlpool_created,
    (RAYDIUM_CLMM, _first("PoolCreatedEvent")): _clmm_created,
    (RAYDIUM_CLMM, _first("CreatePersonalPositionEvent")): _clmm_position,
    (RAYDIUM_CLMM, _first("LiquidityChangeEvent")): _clmm_change,
    (RAYDIUM_CLMM, _first("IncreaseLiquidityEvent")): _clmm_amount(1, 16),
    (RAYDIUM_CLMM, _first("DecreaseLiquidityEvent")): _clmm_amount(-1, 16 + 16 + 24),
    (RAYDIUM_CPMM, _first("LpChangeEvent")): _cpmm_liquidity,
    (METEORA_DLMM, _first("AddLiquidity")): _dlmm_liquidity,
    (METEORA_DLMM, _first("RemoveLiquidity")): _dlmm_liquidity,
    (METEORA_DLMM, _first("LbPairCreate")): _dlmm_created,
    (METEORA_DLMM, _first("Rebalancing")): _dlmm_rebalanced,
    (METEORA_DLMM, _first("IncreasePositionLength")): _dlmm_resized,
    (METEORA_DLMM, _first("DecreasePositionLength")): _dlmm_resized,
    (METEORA_DLMM, _first("GoToABin")): _dlmm_moved,
    (METEORA_DLMM, _first("FeeParameterUpdate")): _dlmm_base_fee,
    (METEORA_DLMM, _first("DynamicFeeParameterUpdate")): _uncarried,
    (METEORA_DLMM, _first("PlaceLimitOrderEvt")): _limit_order,
    (METEORA_DLMM, _first("CancelLimitOrderEvt")): _dlmm_cancelled,
    (RAYDIUM_CLMM, _first("OpenLimitOrderEvent")): _limit_order,
    (RAYDIUM_CLMM, _first("IncreaseLimitOrderEvent")): _limit_order,
}
#: Events after which nothing that a swap depends on has changed.
QUIET: dict[bytes, str] = {
    METEORA_DLMM: """ClaimFee ClaimFee2 ClaimReward ClaimReward2 CloseLimitOrderEvt CompositionFee FundReward
        IncreaseObservation InitializeReward PositionClose PositionCreate SetPositionPermissionlessOperationBitsEvt
        UpdatePositionLockReleasePoint UpdatePositionOperator UpdateRewardDuration UpdateRewardFunder
        WithdrawIneligibleReward""",
    RAYDIUM_CLMM: """CollectPersonalFeeEvent CollectProtocolFeeEvent DecreaseLimitOrderEvent LiquidityCalculateEvent
        SettleLimitOrderEvent UpdateRewardInfosEvent""",
}
_KNOWN = frozenset(_EVENTS) | {(program, _first(name)) for program, names in QUIET.items() for name in names.split()}
