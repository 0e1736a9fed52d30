"""Curve's stable-swap pools: which there are, and what their contracts say of them.

curvefi/curve-factory, ``Factory.vy`` and ``Plain{2,3,4}Basic.vy``; curvefi/stableswap-ng,
``CurveStableSwapFactoryNG.vy`` and ``CurveStableSwapNG.vy``; curvefi/curve-contract, ``StableSwap3Pool.vy``. A pool
does not name its factory, so the factories are asked for it. It is read where its coins are plain tokens and it quotes
what its rule gives: a rate that moves without an event (an oracle's, a vault's) is no number that a row can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.stable import swap as stable_swap
from mevflow.operators.amm.stable.swap import FEE_DENOMINATOR, StableState
from mevflow.operators.amounts import u128
from mevflow.operators.parse.evm.pools import CURVE, EvmPool
from mevflow.sources.evm.contracts import ContractCall, address, number, read
from mevflow.sources.evm.factories import CURVE_KINDS, Factory, FoundPools
from mevflow.sources.evm.rpc import RpcNode

_MOST_COINS = 8
#: ``A_PRECISION`` of all but the first contracts, and ``ADMIN_FEE`` where it is a constant without a getter.
_AMP_PRECISION, _ADMIN_FEE = 100, 5 * 10**9
#: Of the factory's implementations by number, those of plain tokens: "basic", and "optimized" for 18 decimals.
_PLAIN = (0, 3)
_MOST_DECIMALS = 36


@dataclass(frozen=True, slots=True)
class CurvePoolState:
    """Coins in the contract's order, and the pool's whole curve."""

    coins: tuple[bytes, ...]
    curve: StableState

    def columns(self) -> dict[str, object]:
        """The fields of a ``PoolUpdate`` that state it."""
        curve = self.curve
        return {
            "stable": {
                "coins": [
                    {"mint": mint, "balance": u128(balance), "rate": u128(rate)}
                    for mint, balance, rate in zip(self.coins, curve.balances, curve.rates, strict=True)
                ],
                "amp": curve.amp,
                "amp_precision": curve.amp_precision,
                "fee_numerator": curve.fee,
                "fee_denominator": FEE_DENOMINATOR,
                "admin_fee_numerator": curve.admin_fee,
                "admin_fee_denominator": FEE_DENOMINATOR,
                "offpeg_fee_multiplier": curve.offpeg_fee_multiplier,
                "one_division": curve.one_division,
            }
        }


def find(node: RpcNode, factories: Sequence[Factory], candidates: Sequence[bytes], block: bytes) -> FoundPools:
    """The pools among ``candidates`` that one of ``factories`` names, and why others that one names are closed.

    Their ``decimals`` and ``symbols`` are still to be read, and then they are to be :func:`tried`.
    """
    pairs = [(one, made_by) for one in candidates for made_by in factories if made_by.kind in CURVE_KINDS]
    questions = [_who(one, made_by) for one, made_by in pairs]
    said = iter(read(node, [call for calls in questions for call in calls], block))
    pools: dict[bytes, EvmPool] = {}
    closed: dict[bytes, str] = {}
    implementations: dict[bytes, bytes | None] = {}
    for (one, made_by), calls in zip(pairs, questions, strict=True):
        answers = [next(said) for _ in calls]
        coins = _coins(made_by, answers)
        if len(coins) < 2 or one in pools:
            continue
        pools[one] = EvmPool(one, CURVE, coins[0], coins[1], 0, factory=made_by.key, coins=coins)
        if made_by.kind != "curve_pool" and number(answers[1]) != 0:
            closed[one] = "it is a metapool"
        elif made_by.kind == "curve_ng" and any(_listed(answers[2])):
            closed[one] = "the rates of its coins may move without an event"
        elif made_by.kind == "curve":
            implementations[one] = address(answers[2])
    calls = [_implementation(pools[one], which) for one in implementations for which in _PLAIN]
    said = iter(read(node, calls, block))
    for one, own in implementations.items():
        known = {address(next(said)) for _ in _PLAIN}
        if own is None or own not in known:
            closed[one] = "it is of an implementation that is not known"
    return FoundPools(tuple(pool for pool in pools.values() if pool.address not in closed), closed)


def tried(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> FoundPools:
    """Those of ``pools`` whose contracts quote what their rules give at a block."""
    kept, closed = [], {}
    for pool in pools:
        state = curve_state(node, pool, block)
        if max(pool.decimals) > _MOST_DECIMALS or not _keeps_rates(node, pool, block):
            closed[pool.address] = "the rates of its coins are not those of plain tokens"
        elif state is not None and not _quotes(node, pool, state.curve, block):
            closed[pool.address] = "it quotes otherwise than its rule does"
        else:
            kept.append(pool)
    return FoundPools(tuple(kept), closed)


def curve_state(node: RpcNode, pool: EvmPool, block: bytes) -> CurvePoolState | None:
    """A pool at the block with that hash; None where it did not exist, or a side of it was empty."""
    count = len(pool.coins)
    *held, fee, precise, plain, admin_fee, offpeg = (
        number(said)
        for said in read(
            node,
            [
                *balance_calls(pool),
                *(
                    ContractCall(pool.address, function)
                    for function in ("fee()", "A_precise()", "A()", "admin_fee()", "offpeg_fee_multiplier()")
                ),
            ],
            block,
        )
    )
    amp = plain if precise is None else precise
    balances = tuple(one or 0 for one in held)
    if not all(balances) or max(balances) >> 128 or not amp or amp >> 64 or fee is None or fee >= FEE_DENOMINATOR:
        return None
    curve = StableState(
        balances=balances,
        rates=tuple(10 ** (36 - decimals) for decimals in pool.decimals),
        amp=amp,
        amp_precision=1 if precise is None else _AMP_PRECISION,
        fee=fee,
        admin_fee=_ADMIN_FEE if admin_fee is None else admin_fee,
        view_fee_after_scaling=precise is None,
        offpeg_fee_multiplier=offpeg or 0,
        # NG's product of balances is divided once; that of two coins always was, of more at every coin.
        one_division=offpeg is not None or (precise is not None and count == 2),
    )
    return CurvePoolState(pool.coins, curve)


def balance_calls(pool: EvmPool) -> list[ContractCall]:
    """Ask for what a pool has of each coin."""
    return [ContractCall(pool.address, "balances(uint256)", (i,)) for i in range(len(pool.coins))]


def _who(one: bytes, made_by: Factory) -> list[ContractCall]:
    """What says whether a factory names a pool, and as what."""
    if made_by.kind == "curve_pool":
        own = range(_MOST_COINS if one == made_by.key else 0)
        return [ContractCall(one, "coins(uint256)", (i,)) for i in own]
    last = "get_pool_asset_types(address)" if made_by.kind == "curve_ng" else "get_implementation_address(address)"
    functions = ("get_coins(address)", "is_meta(address)", last)
    return [ContractCall(made_by.key, function, (int.from_bytes(one, "big"),)) for function in functions]


def _implementation(pool: EvmPool, which: int) -> ContractCall:
    words = len(pool.coins), which
    return ContractCall(pool.factory, "plain_implementations(uint256,uint256)", words)


def _coins(made_by: Factory, answers: Sequence[bytes | None]) -> tuple[bytes, ...]:
    """The coins that a factory says a pool has; none where it does not know the pool."""
    if made_by.kind == "curve_pool":
        said = [number(one) or 0 for one in answers]
    elif made_by.kind == "curve_ng":
        said = _listed(answers[0])
    else:
        said = [number(answers[0], i) or 0 for i in range(_MOST_COINS)]
    named = [one.to_bytes(32, "big")[12:] for one in said if one]
    return tuple(named) if len(set(named)) == len(named) <= _MOST_COINS else ()


def _listed(data: bytes | None) -> list[int]:
    """The numbers of an answer that is a list of them, eight at most."""
    count = number(data, 1) or 0
    return [number(data, 2 + i) or 0 for i in range(min(count, _MOST_COINS))]


def _keeps_rates(node: RpcNode, pool: EvmPool, block: bytes) -> bool:
    """Whether the rates that a contract tells, if it does, are those of its coins' decimals."""
    (said,) = read(node, [ContractCall(pool.address, "stored_rates()")], block)
    return said is None or _listed(said) == [10 ** (36 - decimals) for decimals in pool.decimals]


def _quotes(node: RpcNode, pool: EvmPool, curve: StableState, block: bytes) -> bool:
    """Whether a pool's own quotes, of a thousandth of what it has of each coin, are those of its rule.

    NG's quotes, unlike its exchanges, know whole units of the amplification only.
    """
    whole = replace(curve, amp=curve.amp // curve.amp_precision * curve.amp_precision)
    ways = [(i, (i + 1) % len(pool.coins), max(curve.balances[i] // 1_000, 1)) for i in range(len(pool.coins))]
    calls = [ContractCall(pool.address, "get_dy(int128,int128,uint256)", way) for way in ways]
    answers = read(node, calls, block)
    return all(
        number(said) in {_quote(curve, way), _quote(whole, way)} for way, said in zip(ways, answers, strict=True)
    )


def _quote(curve: StableState, way: tuple[int, int, int]) -> int | None:
    """None where the contract reverts."""
    try:
        return stable_swap.get_dy(curve, *way)
    except AmmError:
        return None
