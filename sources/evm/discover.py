"""What an unknown address that logs like a pool is: its factory must say so itself.

A contract can log anything and answer anything. It is taken for a pool when the factory that it names is one of
those that are trusted, and that factory names it back for its tokens (and fee).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mevflow.operators.parse.evm.pools import CONCENTRATED, PAIR, EvmPool
from mevflow.sources.evm.contracts import ContractCall, address, number, read, text
from mevflow.sources.evm.factories import Factory
from mevflow.sources.evm.rpc import RpcNode


def discover(
    node: RpcNode, candidates: Sequence[bytes], factories: Mapping[bytes, Factory], block: bytes
) -> list[EvmPool]:
    """The pools among ``candidates`` (addresses), by what contracts say at the block with that hash."""
    functions = ("factory()", "token0()", "token1()", "fee()", "tickSpacing()")
    answers = read(node, [ContractCall(one, function) for one in candidates for function in functions], block)
    claims: list[tuple[bytes, Factory, bytes, bytes, int, int]] = []
    for i, one in enumerate(candidates):
        said = answers[5 * i : 5 * i + 5]
        made_by, token0, token1 = (address(each) for each in said[:3])
        factory = factories.get(made_by) if made_by is not None else None
        if factory is None or token0 is None or token1 is None:
            continue
        fee, spacing = (number(each) for each in said[3:])
        if factory.kind == "pairs":
            claims.append((one, factory, token0, token1, factory.fee_pips, 0))
        elif fee is not None and spacing is not None and fee < 1_000_000 and 0 < spacing < 1 << 15:
            claims.append((one, factory, token0, token1, fee, spacing))
    confirmed = read(node, [_asked(claim) for claim in claims], block)
    true = [claim for claim, said in zip(claims, confirmed, strict=True) if address(said) == claim[0]]
    tokens = tokens_of(node, {token for claim in true for token in claim[2:4]}, block)
    return [
        EvmPool(
            address=pool,
            venue=PAIR if factory.kind == "pairs" else CONCENTRATED,
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
    return ContractCall(factory.key, "getPool(address,address,uint24)", (*words, fee))
