"""Sandwiches: someone trades before and after others on one pool, within one block.

On one pool and one pair of its tokens: a front-run, then at least one victim in the same direction by somebody else
in a transaction of its own, then a back-run in the other direction by who front-ran. Who front-ran is the account that
received the front-run's output and pays for the back-run, or the signer of both where accounts are not recorded. A pool
is nobody: what it receives is on its way to the next. A front-run and a back-run may be made in parts.

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
#: A front-run or a back-run of more parts is not looked for.
_MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class Sandwich:
    """A front-run, its victims and its back-run, in chain order.

    ``rest`` are further parts of the back-run, ``more`` of the front-run.
    """

    front: Trade
    victims: tuple[Trade, ...]
    back: Trade
    rest: tuple[Trade, ...] = ()
    more: tuple[Trade, ...] = ()

    @property
    def fronts(self) -> tuple[Trade, ...]:
        """All parts of the front-run."""
        return self.front, *self.more

    @property
    def backs(self) -> tuple[Trade, ...]:
        """All parts of the back-run."""
        return self.back, *self.rest

    @property
    def token(self) -> bytes:
        """What the front-run paid with and the back-run was paid in."""
        return self.front.token_in

    @property
    def start_amount(self) -> int:
        """What the front-run paid."""
        return sum(part.amount_in for part in self.fronts)

    @property
    def end_amount(self) -> int:
        """What the back-run got; where it sold more than the front-run had bought, the part of that."""
        bought, sold = sum(part.amount_out for part in self.fronts), sum(part.amount_in for part in self.backs)
        got = sum(part.amount_out for part in self.backs)
        if sold <= bought or nearly_equal(sold, bought):
            return got
        return got * bought // sold

    @property
    def profit(self) -> int:
        """Gained in ``token``. What a back-run kept of the front-run's purchase is not counted."""
        return self.end_amount - self.start_amount


def sandwiches(trades: Sequence[Trade], shared: frozenset[bytes], min_overlap_pct: int) -> list[Sandwich]:
    """The sandwiches among the swaps of one block, by front-run in chain order. A swap backs one front-run at most."""
    order = sorted(trades, key=lambda trade: (trade.tx_index, trade.place))
    pools = {trade.pool for trade in order}
    flow: dict[tuple[bytes, bytes, bytes], list[int]] = defaultdict(list)
    backs: dict[tuple[bytes, bytes, bytes, bytes], list[int]] = defaultdict(list)
    fronts: dict[tuple[bytes, bytes, bytes, bytes], list[int]] = defaultdict(list)
    for index, trade in enumerate(order):
        way = trade.pool, trade.token_in, trade.token_out
        flow[way].append(index)
        if who := trade.payer or trade.signer:
            backs[*way, who].append(index)
        if who := trade.recipient or trade.signer:
            fronts[*way, who].append(index)
    found = []
    used: set[int] = set()
    parts: set[int] = set()
    for at, front in enumerate(order):
        who = front.recipient or front.signer
        if at in parts:
            continue
        same = flow[front.pool, front.token_in, front.token_out]
        if not who or who in pools or not same[1:]:
            continue
        others = [order[one] for one in same if order[one].tx_index > front.tx_index and not _is(order[one], who)]
        back_run = [
            index
            for index in backs.get((front.pool, front.token_out, front.token_in, who), ())
            if index not in used and any(other.tx_index < order[index].tx_index for other in others)
        ]
        own = [index for index in fronts[front.pool, front.token_in, front.token_out, who] if index >= at]
        into, back = _matched(order, own, back_run, who in shared, min_overlap_pct)
        if back:
            victims = tuple(other for other in others if other.tx_index < order[back[0]].tx_index)
            used.update(back)
            parts.update(into[1:])
            more, (first, *rest) = [order[index] for index in into[1:]], [order[index] for index in back]
            found.append(Sandwich(front, victims, first, tuple(rest), tuple(more)))
    return found


def _matched(
    order: Sequence[Trade], own: list[int], back_run: list[int], shared: bool, min_overlap_pct: int
) -> tuple[list[int], list[int]]:
    """The parts of the front-run that ``own`` begins with, and its way back among ``back_run``.

    One front-run goes before several parts, and the same amounts before another size; of many people's address only
    one front-run is believed. Nothing comes back where the amounts are a stranger's.
    """
    ppm = SAME_PPM if shared else PASSED_ON_PPM
    paid = bought = 0
    for count, index in enumerate(own[: 1 if shared else _MOST_PARTS], 1):
        paid, bought = paid + order[index].amount_in, bought + order[index].amount_out
        if back := _same_amounts(order, paid, bought, [each for each in back_run if each > index], ppm):
            return own[:count], back
    if not shared:
        for each in back_run:
            if _alike(order[own[0]], order[each], min_overlap_pct):
                return own[:1], [each]
    return own[:1], []


def _same_amounts(order: Sequence[Trade], paid: int, bought: int, candidates: list[int], ppm: int) -> list[int]:
    """One swap that sells what was bought, or gets back what was paid; or several that add up to that."""
    for one in candidates:
        if _same(paid, bought, order[one].amount_in, order[one].amount_out, ppm):
            return [one]
    for first in range(len(candidates)):
        sold = got = 0
        for last in range(first, min(first + _MOST_PARTS, len(candidates))):
            part = order[candidates[last]]
            sold, got = sold + part.amount_in, got + part.amount_out
            if last > first and _same(paid, bought, sold, got, ppm):
                return candidates[first : last + 1]
    return []


def _is(trade: Trade, who: bytes) -> bool:
    """Whether a swap was made by or for ``who``."""
    return who in (trade.payer or trade.signer, trade.recipient or trade.signer)


def _same(paid: int, bought: int, sold: int, got: int, ppm: int) -> bool:
    """Whether what came back is what was bought, or what was paid."""
    return nearly_equal(bought, sold, ppm) or nearly_equal(paid, got, ppm)


def _alike(front: Trade, back: Trade, min_overlap_pct: int) -> bool:
    """Whether two amounts are of one order, the second at a better price."""
    less, more = sorted((front.amount_out, back.amount_in))
    return (
        less * 100 >= more * min_overlap_pct and back.amount_out * front.amount_out > front.amount_in * back.amount_in
    )
