"""What is known of Uniswap v2 pairs (and of forks) besides their logs: tokens and fee.

A caller may know pools. Otherwise the tokens of a pair are told by its factory's ``PairCreated`` or by the tokens'
own ``Transfer`` logs around a swap, and the fee by the pair's product check: a swap that took the last unit which a
fee of whole basis points leaves was made at that fee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mevflow.operators.amm.concentrated.curve import PIPS, AmmError
from mevflow.operators.amm.pairs import uniswap_v2
from mevflow.operators.amm.pairs.uniswap_v2 import PairState

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
PAIR_CREATED = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
#: Fees that pairs of known factories have: Uniswap v2 and SushiSwap.
_FACTORY_FEES = {
    bytes.fromhex("5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f"): 3_000,
    bytes.fromhex("c0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac"): 3_000,
}
#: An output of fewer units does not tell one fee from another.
_TELLING_OUTPUT = 10**9
_MOST_FEE_BPS = 100


@dataclass(frozen=True, slots=True)
class V2Pool:
    """A pair's tokens, 20 bytes each and ascending; ``fee_pips`` is 0 while it is not known."""

    token0: bytes = b""
    token1: bytes = b""
    fee_pips: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """A ``Transfer`` log: ``token`` from one account to another."""

    token: bytes
    source: bytes
    target: bytes
    amount: int


@dataclass(slots=True)
class V2Pools:
    """Pairs by address; what logs tell is added."""

    known: dict[bytes, V2Pool] = field(default_factory=dict)

    @classmethod
    def of(cls, pools: Mapping[bytes, V2Pool] | None) -> V2Pools:
        return cls(dict(pools or {}))

    def get(self, pair: bytes) -> V2Pool:
        """What is known of a pair; nothing may be."""
        return self.known.get(pair, V2Pool())

    def created(self, factory: bytes, pair: bytes, token0: bytes, token1: bytes) -> None:
        """The factory made a pair."""
        if pair not in self.known:
            self.known[pair] = V2Pool(token0, token1, _FACTORY_FEES.get(factory, 0))

    def learn_tokens(self, pair: bytes, a_to_b: bool, paid: int, got: int, moved: Sequence[Moved]) -> None:
        """From the transfers of a swap's transaction that brought ``paid`` to the pair and took ``got`` from it."""
        if self.get(pair).token0:
            return
        into = {each.token for each in moved if each.target == pair and each.amount == paid}
        out = {each.token for each in moved if each.source == pair and each.amount == got}
        if len(into) != 1 or len(out) != 1 or into == out:
            return
        token0, token1 = (*into, *out) if a_to_b else (*out, *into)
        if token0 < token1:  # as every pair orders them
            self.known[pair] = V2Pool(token0, token1, self.get(pair).fee_pips)

    def learn_fee(self, pair: bytes, before: PairState, a_to_b: bool, paid: int, got: int) -> None:
        """From what a swap took: it can be no more than its fee left, so no fee above the pair's is taken for it."""
        if self.get(pair).fee_pips or got < _TELLING_OUTPUT:
            return
        fits = [bps * 100 for bps in range(1, _MOST_FEE_BPS + 1) if _most(before, bps * 100, a_to_b, paid) == got]
        if len(fits) == 1:
            self.known[pair] = replace(self.get(pair), fee_pips=fits[0])


def _most(before: PairState, fee_pips: int, a_to_b: bool, paid: int) -> int:
    pair = replace(before, fee_a=fee_pips, fee_b=fee_pips, fee_denominator=PIPS)
    try:
        return uniswap_v2.quote_exact_in(pair, a_to_b, paid).amount_out
    except AmmError:
        return -1
