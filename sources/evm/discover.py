"""What an unknown address that logs like a pool is: its factory must say so itself.

A contract can log anything and answer anything. It is taken for a pool when the factory that it names is one of
those that are trusted, and that factory names it back for its tokens (and fee, spacing or curve). What a stable pool
of Aerodrome or Velodrome says of its own decimals is taken: its curve has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mevflow.operators.parse.evm.pools import KINDS, STABLE, EvmPool
from mevflow.sources.evm.contracts import ContractCall, address, number, read, text
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.rpc import RpcNode

_FUNCTIONS = ("factory()", "token0()", "token1()", "fee()", "tickSpacing()", "stable()", "metadata()")
_MOST_SPACING = 1 << 15
#: The chain's own currency, as v4 names it; every chain counts it in 18 decimals.
_NATIVE, _NATIVE_SAYS = bytes(20), (18, "native")


@dataclass(frozen=True, slots=True)
class _Claim:
    """A pool as it describes itself, and what its factory is asked: the answer must be its address."""

    pool: EvmPool
    asked: ContractCall


def discover(
    node: RpcNode, candidates: Sequence[bytes], factories: Mapping[bytes, Factory], block: bytes
) -> list[EvmPool]:
    """The pools among ``candidates`` (addresses), by what contracts say at the block with that hash."""
    answers = read(node, [ContractCall(one, function) for one in candidates for function in _FUNCTIONS], block)
    claims: list[_Claim] = []
    for i, one in enumerate(candidates):
        said = answers[len(_FUNCTIONS) * i : len(_FUNCTIONS) * (i + 1)]
        made_by, token0, token1 = (address(each) for each in said[:3])
        factory = factories.get(made_by) if made_by is not None else None
        if factory is not None and token0 is not None and token1 is not None:
            claim = _claimed(EvmPool(one, KINDS[factory.kind], token0, token1, 0, factory=factory.key), factory, said)
            claims += [] if claim is None else [claim]
    confirmed = read(node, [claim.asked for claim in claims], block)
    true = [claim.pool for claim, said in zip(claims, confirmed, strict=True) if address(said) == claim.pool.address]
    return named(node, true, block)


def named(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> list[EvmPool]:
    """Pools with what their tokens say of themselves."""
    tokens = tokens_of(node, {token for pool in pools for token in _tokens(pool)} - {_NATIVE}, block)
    tokens[_NATIVE] = _NATIVE_SAYS
    return [_named(pool, tokens) for pool in pools]


def _claimed(pool: EvmPool, factory: Factory, said: Sequence[bytes | None]) -> _Claim | None:
    """What is asked of the factory of such a pool; None for one that does not describe itself as its kind does."""
    fee, spacing, stable = (number(each) for each in said[3:6])
    words = int.from_bytes(pool.token0, "big"), int.from_bytes(pool.token1, "big")
    if factory.kind == "pairs":
        pool = replace(pool, fee_pips=factory.fee_pips)
        return _Claim(pool, ContractCall(factory.key, "getPair(address,address)", words))
    if factory.kind == "volatile":
        if stable == 1:
            units = [_power(number(said[6], place)) for place in (0, 1)]
            if None in units:
                return None
            pool = replace(pool, venue=STABLE, decimals=(units[0] or 0, units[1] or 0))
        elif stable != 0:
            return None
        return _Claim(pool, ContractCall(factory.key, "getPool(address,address,bool)", (*words, stable)))
    if spacing is None or not 0 < spacing < _MOST_SPACING:
        return None
    pool = replace(pool, tick_spacing=spacing)
    if factory.kind == "slipstream":
        return _Claim(pool, ContractCall(factory.key, "getPool(address,address,int24)", (*words, spacing)))
    if fee is None or fee >= 1_000_000:
        return None
    pool = replace(pool, fee_pips=fee)
    return _Claim(pool, ContractCall(factory.key, "getPool(address,address,uint24)", (*words, fee)))


def _power(unit: int | None) -> int | None:
    """The decimals of which one whole token is so many raw units; None for what is no power of ten."""
    digits = len(str(unit)) - 1
    return digits if unit is not None and digits < 77 and unit == 10**digits else None


def _named(pool: EvmPool, tokens: Mapping[bytes, tuple[int, str]]) -> EvmPool:
    told = [tokens[token] for token in _tokens(pool)]
    decimals = pool.decimals if pool.venue == STABLE else tuple(each for each, _ in told)
    return replace(pool, decimals=decimals, symbols=tuple(symbol for _, symbol in told))


def _tokens(pool: EvmPool) -> tuple[bytes, ...]:
    return pool.coins or (pool.token0, pool.token1)


def tokens_of(node: RpcNode, tokens: Iterable[bytes], block: bytes) -> dict[bytes, tuple[int, str]]:
    """Decimals (0 where a token does not say) and symbol of each token."""
    asked = sorted(tokens)
    answers = read(
        node, [ContractCall(one, function) for one in asked for function in ("decimals()", "symbol()")], block
    )
    found = {}
    for i, one in enumerate(asked):
        decimals = number(answers[2 * i])
        found[one] = (decimals if decimals is not None and decimals < 256 else 0, text(answers[2 * i + 1]))
    return found
