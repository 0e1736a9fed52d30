"""What an unknown address that logs like a pool is: its factory must say so itself.

A contract can log anything and answer anything. It is taken for a pool when the factory that it names is one of
those that are trusted, and that factory names it back for its tokens (and fee). Of Aerodrome's and Velodrome's pools
the stable ones are no pools here: their curve is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mevflow.operators.parse.evm.pools import KINDS, MANAGED_FEE, EvmPool
from mevflow.sources.evm.contracts import ContractCall, address, number, read, text
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.rpc import RpcNode

#: Volatile pools' fees are in basis points.
_BPS, _PIPS_PER_BPS = 10_000, 100
_FUNCTIONS = ("factory()", "token0()", "token1()", "fee()", "tickSpacing()", "stable()")


def discover(
    node: RpcNode, candidates: Sequence[bytes], factories: Mapping[bytes, Factory], block: bytes
) -> list[EvmPool]:
    """The pools among ``candidates`` (addresses), by what contracts say at the block with that hash."""
    answers = read(node, [ContractCall(one, function) for one in candidates for function in _FUNCTIONS], block)
    claims: list[tuple[bytes, Factory, bytes, bytes, int, int]] = []
    for i, one in enumerate(candidates):
        said = answers[len(_FUNCTIONS) * i : len(_FUNCTIONS) * (i + 1)]
        made_by, token0, token1 = (address(each) for each in said[:3])
        factory = factories.get(made_by) if made_by is not None else None
        if factory is None or token0 is None or token1 is None:
            continue
        fee, spacing, stable = (number(each) for each in said[3:])
        if factory.kind == "pairs":
            claims.append((one, factory, token0, token1, factory.fee_pips, 0))
        elif factory.kind == "volatile":
            if stable == 0:
                claims.append((one, factory, token0, token1, 0, 0))
        elif fee is not None and spacing is not None and fee < 1_000_000 and 0 < spacing < 1 << 15:
            claims.append((one, factory, token0, token1, fee, spacing))
    confirmed = read(node, [_asked(claim) for claim in claims], block)
    true = [claim for claim, said in zip(claims, confirmed, strict=True) if address(said) == claim[0]]
    tokens = tokens_of(node, {token for claim in true for token in claim[2:4]}, block)
    return [
        EvmPool(
            address=pool,
            venue=KINDS[factory.kind],
            token0=token0,
            token1=token1,
            fee_pips=fee,
            tick_spacing=spacing,
            decimals=(tokens[token0][0], tokens[token1][0]),
            symbols=(tokens[token0][1], tokens[token1][1]),
            factory=factory.key,
        )
        for pool, factory, token0, token1, fee, spacing in true
    ]


def open_pools(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> list[EvmPool]:
    """The pools in which anybody may swap at the block with that hash, with the fees that hold there.

    Of a managed pool its factory says both; one of which it does not is left out.
    """
    asked = [pool for pool in pools if pool.venue in MANAGED_FEE]
    calls = []
    for pool in asked:
        calls.append(ContractCall(pool.factory, "isPaused()"))
        calls.append(ContractCall(pool.factory, "getFee(address,bool)", (int.from_bytes(pool.address, "big"), 0)))
    said = iter(read(node, calls, block))
    found = []
    for pool in pools:
        if pool.venue not in MANAGED_FEE:
            found.append(pool)
            continue
        paused, fee = number(next(said)), number(next(said))
        if not paused and fee is not None and fee < _BPS:
            found.append(replace(pool, fee_pips=fee * _PIPS_PER_BPS))
    return found


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


def _asked(claim: tuple[bytes, Factory, bytes, bytes, int, int]) -> ContractCall:
    _, factory, token0, token1, fee, _ = claim
    words = int.from_bytes(token0, "big"), int.from_bytes(token1, "big")
    if factory.kind == "pairs":
        return ContractCall(factory.key, "getPair(address,address)", words)
    if factory.kind == "volatile":
        return ContractCall(factory.key, "getPool(address,address,bool)", (*words, 0))
    return ContractCall(factory.key, "getPool(address,address,uint24)", (*words, fee))
