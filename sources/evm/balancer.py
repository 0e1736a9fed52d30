"""Weighted pools of Balancer v2: which there are, and what the vault and their contracts say of them.

balancer/balancer-v2-monorepo, ``Vault.sol``, ``PoolTokens.sol``, ``WeightedPool.sol``, ``BasePoolFactory.sol``. Anybody
may register a pool of any rule with the vault, so a pool is one that a factory of weighted pools made; its id begins
with its address. It is read where the vault quotes what its rule gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.weighted import pool as weighted
from mevflow.operators.amm.weighted.log_exp import ONE
from mevflow.operators.amm.weighted.pool import WeightedState
from mevflow.operators.amounts import u128
from mevflow.operators.parse.evm.pools import WEIGHTED, EvmPool
from mevflow.sources.evm.contracts import ContractCall, integer, listed, number, read
from mevflow.sources.evm.factories import Factory, FoundPools
from mevflow.sources.evm.rpc import RpcNode

_MOST_COINS, _MOST_DECIMALS, _MOST_BITS = 8, 18, 112
_QUERY = "queryBatchSwap(uint8,(bytes32,uint256,uint256,uint256,bytes)[],address[],(address,bool,address,bool))"
#: What of its balance of each coin a pool is asked to quote.
_TRIED = 1_000


@dataclass(frozen=True, slots=True)
class WeightedPoolState:
    """Coins in the vault's order, and the pool's whole curve."""

    coins: tuple[bytes, ...]
    curve: WeightedState

    def columns(self) -> dict[str, object]:
        """The fields of a ``PoolUpdate`` that state it."""
        curve = self.curve
        told = zip(self.coins, curve.balances, curve.scales, curve.weights, strict=True)
        return {
            "stable": {
                "coins": [
                    {"mint": mint, "balance": u128(balance), "rate": u128(rate), "weight": u128(weight)}
                    for mint, balance, rate, weight in told
                ],
                "fee_numerator": curve.fee,
                "fee_denominator": ONE,
            }
        }


def find(node: RpcNode, vault: Factory, ids: Sequence[bytes], block: bytes) -> FoundPools:
    """Which of ``ids`` are weighted pools of known factories, and why the others are closed.

    Their ``decimals`` and ``symbols`` are still to be read, and then they are to be :func:`tried`.
    """
    makers = [bytes.fromhex(one[2:]) for one in vault.makers]
    questions = {one: [_tokens_call(vault.key, one), *(_made_call(maker, one) for maker in makers)] for one in ids}
    said = iter(read(node, [call for calls in questions.values() for call in calls], block))
    pools, closed = [], {}
    for one in ids:
        tokens, *made = (next(said) for _ in questions[one])
        coins = tuple(word.to_bytes(32)[12:] for word in listed(tokens))
        if not any(number(answer) == 1 for answer in made):
            closed[one] = "it is no weighted pool of a factory that is known"
        elif not 2 <= len(coins) <= _MOST_COINS:
            closed[one] = f"it has {len(coins)} tokens"
        else:
            pools.append(
                EvmPool(one, WEIGHTED, coins[0], coins[1], 0, factory=vault.key, fee_module=one[:20], coins=coins)
            )
    return FoundPools(tuple(pools), closed)


def tried(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> FoundPools:
    """Those of ``pools`` of which the vault quotes what their rules give at a block."""
    standing = weighted_states(node, pools, block)
    trials = {pool.address: _trials(pool, standing.get(pool.address)) for pool in pools}
    said = iter(read(node, [call for calls in trials.values() for call, _ in calls], block))
    kept, closed = [], {}
    for pool in pools:
        quotes = [(_got(next(said)), expected) for _, expected in trials[pool.address]]
        if max(pool.decimals) > _MOST_DECIMALS:
            closed[pool.address] = f"a token has {max(pool.decimals)} decimals"
        elif any(quote != expected for quote, expected in quotes):
            closed[pool.address] = "it quotes otherwise than its rule does"
        else:
            kept.append(pool)
    return FoundPools(tuple(kept), closed)


def weighted_states(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> dict[bytes, WeightedPoolState]:
    """Pools at the block with that hash; without those that did not exist, or of which a side was empty."""
    calls = [
        call
        for pool in pools
        for call in (
            balances_call(pool),
            ContractCall(pool.fee_module, "getNormalizedWeights()"),
            ContractCall(pool.fee_module, "getSwapFeePercentage()"),
        )
    ]
    said = iter(read(node, calls, block))
    found = {}
    for pool in pools:
        held, weights, fee = balances(next(said)), listed(next(said)), number(next(said))
        state = _state(pool, held, weights, fee)
        if state is not None:
            found[pool.address] = state
    return found


def balances_call(pool: EvmPool) -> ContractCall:
    """Ask the vault for what a pool has: see :func:`balances`."""
    return _tokens_call(pool.factory, pool.address)


def balances(said: bytes | None) -> tuple[int, ...]:
    """Of ``getPoolTokens``, in the order of the pool's coins; none where it is no pool."""
    return tuple(listed(said, 1))


def _state(pool: EvmPool, held: Sequence[int], weights: Sequence[int], fee: int | None) -> WeightedPoolState | None:
    """None for a pool that nobody can trade with, or that is none of a weighted pool's."""
    if len(held) != len(pool.coins) or len(weights) != len(held) or sum(weights) != ONE or not all(weights):
        return None
    if not all(held) or max(held) >> _MOST_BITS or not fee or fee >= ONE or max(pool.decimals) > _MOST_DECIMALS:
        return None
    scales = tuple(10 ** (36 - decimals) for decimals in pool.decimals)
    return WeightedPoolState(pool.coins, WeightedState(tuple(held), tuple(weights), scales, fee))


def _made_call(maker: bytes, one: bytes) -> ContractCall:
    return ContractCall(maker, "isPoolFromFactory(address)", (int.from_bytes(one[:20]),))


def _tokens_call(vault: bytes, one: bytes) -> ContractCall:
    return ContractCall(vault, "getPoolTokens(bytes32)", (int.from_bytes(one),))


def _trials(pool: EvmPool, state: WeightedPoolState | None) -> list[tuple[ContractCall, int | None]]:
    """What the vault is asked of a pool, a thousandth of each coin for the next, and what it must answer."""
    if state is None:
        return []
    count = len(pool.coins)
    ways = [(i, (i + 1) % count, max(state.curve.balances[i] // _TRIED, 1)) for i in range(count)]
    return [(_query(pool, *way), _quote(state.curve, *way)) for way in ways]


def _query(pool: EvmPool, i: int, j: int, amount: int) -> ContractCall:
    """One swap with a given input, of nobody and for nobody. Offsets count bytes from where a part begins."""
    swaps = (1, 0x20, int.from_bytes(pool.address), 0, 1, amount, 0xA0, 0)
    assets = (2, int.from_bytes(pool.coins[i]), int.from_bytes(pool.coins[j]))
    begin = 7 * 32
    head = (0, begin, begin + 32 * len(swaps), 0, 0, 0, 0)
    return ContractCall(pool.factory, _QUERY, (*head, *swaps, *assets))


def _got(said: bytes | None) -> int | None:
    """What comes out, of the two changes of the vault's balances that a query gives."""
    return -integer(said, 3) if said is not None and len(said) == 4 * 32 else None


def _quote(curve: WeightedState, i: int, j: int, amount: int) -> int | None:
    """None where the vault reverts."""
    try:
        return weighted.quote_exact_in(curve, i, j, amount).amount_out
    except AmmError:
        return None
