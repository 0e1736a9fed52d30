"""Sandwiches: someone trades before and after others on one pool, within one block.

On one pool and one pair of its tokens: a front-run, then at least one victim in the same direction by somebody else
in a transaction of its own, then a back-run in the other direction by who front-ran. Who front-ran is the account that
received the front-run's output and pays for the back-run, or the signer of both where accounts are not recorded.

An address can be many people's: a router, a market maker. So the amounts must speak for it too. Known routers
(``shared``) must sell what they bought, or get back what they paid, to a ten-thousandth. Others nearly so; or, since a
bot may trade on top of its back-run or keep some for later, amounts of one order (``min_overlap_pct``) at a better
price than it paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.label.trade import PASSED_ON_PPM, Trade, nearly_equal

#: Two strangers' amounts are as good as never this near; who sells what it bought leaves a unit or two behind.
SAME_PPM = 100


@dataclass(frozen=True, slots=True)
class Sandwich:
    """A front-run, its victims and its back-run, in chain order."""

    front: Trade
    victims: tuple[Trade, ...]
    back: Trade

    @property
    def token(self) -> bytes:
        """What the front-run paid with and the back-run was paid in."""
        return self.front.token_in

    @property
    def start_amount(self) -> int:
        """What the front-run paid."""
        return self.front.amount_in

    @property
    def end_amount(self) -> int:
        """What the back-run got; where it sold more than the front-run had bought, the part of that."""
        bought, sold = self.front.amount_out, self.back.amount_in
        if sold <= bought or nearly_equal(sold, bought):
            return self.back.amount_out
        return self.back.amount_out * bought // sold

    @property
    def profit(self) -> int:
        """Gained in ``token``. What a back-run kept of the front-run's purchase is not counted."""
        return self.end_amount - self.start_amount


def sandwiches(trades: Sequence[Trade], shared: frozenset[bytes], min_overlap_pct: int) -> list[Sandwich]:
    """The sandwiches among the swaps of one block, by front-run in chain order. A swap backs one front-run at most."""
    order = sorted(trades, key=lambda trade: (trade.tx_index, trade.place))
    flow: dict[tuple[bytes, bytes, bytes], list[int]] = defaultdict(list)
    backs: dict[tuple[bytes, bytes, bytes, bytes], list[int]] = defaultdict(list)
    for index, trade in enumerate(order):
        way = trade.pool, trade.token_in, trade.token_out
        flow[way].append(index)
        if who := trade.payer or trade.signer:
            backs[*way, who].append(index)
    found = []
    used: set[int] = set()
    for front in order:
        who = front.recipient or front.signer
        if not who or not (same := flow[front.pool, front.token_in, front.token_out])[1:]:
            continue
        for index in backs.get((front.pool, front.token_out, front.token_in, who), ()):
            back = order[index]
            if index in used or back.tx_index <= front.tx_index:
                continue
            if not _belongs(front, back, who in shared, min_overlap_pct):
                continue
            victims = tuple(
                order[one]
                for one in same
                if front.tx_index < order[one].tx_index < back.tx_index and not _is(order[one], who)
            )
            if victims:
                used.add(index)
                found.append(Sandwich(front, victims, back))
                break
    return found


def _is(trade: Trade, who: bytes) -> bool:
    """Whether a swap was made by or for ``who``."""
    return who in (trade.payer or trade.signer, trade.recipient or trade.signer)


def _belongs(front: Trade, back: Trade, shared: bool, min_overlap_pct: int) -> bool:
    """Whether the amounts let ``back`` be the way back of ``front``."""
    ppm = SAME_PPM if shared else PASSED_ON_PPM
    if nearly_equal(front.amount_out, back.amount_in, ppm) or nearly_equal(front.amount_in, back.amount_out, ppm):
        return True
    if shared:
        return False
    less, more = sorted((front.amount_out, back.amount_in))
    return (
        less * 100 >= more * min_overlap_pct and back.amount_out * front.amount_out > front.amount_in * back.amount_in
    )
