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
from mevflow.sources.evm.contracts import ContractCall, address, listed, number, read
from mevflow.sources.evm.factories import CURVE_KINDS, Factory, FoundPools
from mevflow.sources.evm.rpc import RpcNode

_MOST_COINS = 8
#: ``A_PRECISION`` of all but the first contracts, and ``ADMIN_FEE`` where it is a constant without a getter.
_AMP_PRECISION, _ADMIN_FEE = 100, 5 * 10**9
#: Of the factory's implementations by number, those of plain tokens: "basic", and "optimized" for 18 decimals.
_PLAIN = (0, 3)
#: ``asset_type`` of a coin whose rate never moves.
_PLAIN_COIN = 0
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
        elif made_by.kind == "curve_ng" and listed(answers[2]) != [_PLAIN_COIN] * len(coins):
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
    told = read(node, [ContractCall(pool.address, "stored_rates()") for pool in pools], block)
    plain = [pool for pool, said in zip(pools, told, strict=True) if _are_plain(pool, said)]
    closed = {pool.address: "the rates of its coins are not those of plain tokens" for pool in pools}
    standing = curve_states(node, plain, block)
    trials = {pool.address: _trials(pool, standing.get(pool.address)) for pool in plain}
    said = iter(read(node, [call for calls in trials.values() for call, _ in calls], block))
    kept = []
    for pool in plain:
        quotes = [(number(next(said)), expected) for _, expected in trials[pool.address]]
        if all(quote in expected for quote, expected in quotes):
            kept.append(pool)
            del closed[pool.address]
        else:
            closed[pool.address] = "it quotes otherwise than its rule does"
    return FoundPools(tuple(kept), closed)


def curve_states(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> dict[bytes, CurvePoolState]:
    """Pools at the block with that hash; without those that did not exist, or of which a side was empty."""
    questions = {pool.address: [*balance_calls(pool), *_rule_calls(pool)] for pool in pools}
    said = iter(read(node, [call for calls in questions.values() for call in calls], block))
    found = {}
    for pool in pools:
        state = _state(pool, [number(next(said)) for _ in questions[pool.address]])
        if state is not None:
            found[pool.address] = state
    return found


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
        said = listed(answers[0])
    else:
        said = [number(answers[0], i) or 0 for i in range(_MOST_COINS)]
    named = [one.to_bytes(32, "big")[12:] for one in said if one]
    return tuple(named) if len(set(named)) == len(named) <= _MOST_COINS else ()


def _rule_calls(pool: EvmPool) -> list[ContractCall]:
    functions = ("fee()", "A_precise()", "A()", "admin_fee()", "offpeg_fee_multiplier()")
    return [ContractCall(pool.address, function) for function in functions]


def _state(pool: EvmPool, said: Sequence[int | None]) -> CurvePoolState | None:
    """``said`` are a pool's balances, and the answers to :func:`_rule_calls`."""
    *held, fee, precise, plain, admin_fee, offpeg = said
    amp = plain if precise is None else precise
    balances = tuple(one or 0 for one in held)
    if not all(balances) or max(balances) >> 128 or not amp or amp >> 64 or fee is None or fee >= FEE_DENOMINATOR:
        return None
    curve = StableState(
        balances=balances,
        rates=_plain_rates(pool),
        amp=amp,
        amp_precision=1 if precise is None else _AMP_PRECISION,
        fee=fee,
        admin_fee=_ADMIN_FEE if admin_fee is None else admin_fee,
        view_fee_after_scaling=precise is None,
        offpeg_fee_multiplier=offpeg or 0,
        # NG's product of balances is divided once; that of two coins always was, of more at every coin.
        one_division=offpeg is not None or (precise is not None and len(balances) == 2),
    )
    return CurvePoolState(pool.coins, curve)


def _plain_rates(pool: EvmPool) -> tuple[int, ...]:
    return tuple(10 ** (36 - decimals) for decimals in pool.decimals)


def _are_plain(pool: EvmPool, said: bytes | None) -> bool:
    """Whether the rates that a contract tells, if it does, are those of its coins' decimals."""
    return max(pool.decimals) <= _MOST_DECIMALS and (said is None or tuple(listed(said)) == _plain_rates(pool))


def _trials(pool: EvmPool, state: CurvePoolState | None) -> list[tuple[ContractCall, set[int | None]]]:
    """What is asked of a pool, a thousandth of what it has of each coin, and what it may answer by its rule.

    NG's quotes, unlike its exchanges, know whole units of the amplification only.
    """
    if state is None:
        return []
    curve, count = state.curve, len(pool.coins)
    whole = replace(curve, amp=curve.amp // curve.amp_precision * curve.amp_precision)
    ways = [(i, (i + 1) % count, max(curve.balances[i] // 1_000, 1)) for i in range(count)]
    calls = [ContractCall(pool.address, "get_dy(int128,int128,uint256)", way) for way in ways]
    return [(call, {_quote(curve, way), _quote(whole, way)}) for call, way in zip(calls, ways, strict=True)]


def _quote(curve: StableState, way: tuple[int, int, int]) -> int | None:
    """None where the contract reverts."""
    try:
        return stable_swap.get_dy(curve, *way)
    except AmmError:
        return None
