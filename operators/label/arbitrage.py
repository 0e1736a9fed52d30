"""Realised arbitrage: a token leaves, goes through pools, and comes back to who sent it, in one transaction.

The rule follows the token, not the order of calls, because a flash swap is called before what pays for it.
A route is

* swaps of which each takes the token that the one before gave, about as much of it (``PASSED_ON_PPM``), and, where
  payers and recipients are recorded, from hand to hand;
* whose last swap gives the first one's token to the account that paid the first, and is made on another pool: what
  goes in and out by one pool only reached the route, it is no part of it;
* whose paying account is no pool of the transaction (else it is a step within a longer route).

Of several routes from one swap the shortest counts; among those, the one that ran first. A swap is in one route.
Swaps left over are tried again with parallel ones (same tokens, same hands) taken together: a leg split over pools.

Whether it paid is not part of the rule: a cycle at a loss is a cycle. The notion of a route is that of mev-inspect-py
(``mev_inspect/arbitrages.py``); ``docs/labels.md`` says where this differs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from mevflow.operators.label.trade import Leg, Trade, nearly_equal


@dataclass(frozen=True, slots=True)
class Arbitrage:
    """A cycle's swaps in the order in which the token went through them. ``unseen``: the data lack a leg between."""

    trades: tuple[Trade, ...]
    start_amount: int
    end_amount: int
    unseen: bool = False

    @property
    def token(self) -> bytes:
        """The token that it starts and ends with."""
        return self.trades[0].token_in

    @property
    def profit(self) -> int:
        """What came back less what left; pool fees are paid, gas and tips are not."""
        return self.end_amount - self.start_amount


def arbitrages(trades: Sequence[Trade], unseen_pct: int = 0) -> list[Arbitrage]:
    """The arbitrages among the swaps of one transaction, in the order of their first swap.

    With ``unseen_pct`` above 0, swaps may also close over legs that the data do not hold: see :func:`_over_unseen`.
    """
    left = sorted(trades, key=lambda trade: trade.place)
    found: list[Arbitrage] = []

    def take(routes: list[list[Leg]], unseen: bool = False) -> None:
        nonlocal left
        for route in routes:
            swaps = tuple(trade for leg in route for trade in leg.trades)
            found.append(Arbitrage(swaps, route[0].amount_in, route[-1].amount_out, unseen))
        gone = {trade.place for one in found for trade in one.trades}
        left = [trade for trade in left if trade.place not in gone]

    take(_closed_routes([Leg.of(trade) for trade in left]))
    take(_closed_routes(_parallel(left)))
    if unseen_pct:
        take(_over_unseen([Leg.of(trade) for trade in left], unseen_pct), unseen=True)
    return sorted(found, key=lambda one: min(trade.place for trade in one.trades))


def _closed_routes(legs: list[Leg]) -> list[list[Leg]]:
    """Routes that use no leg twice. Those that end after they begin are sought first, flash swaps after them."""
    if len(legs) < 2:
        return []
    pools = frozenset().union(*(leg.pools for leg in legs))
    takers: dict[bytes, list[int]] = defaultdict(list)
    givers: dict[bytes, list[int]] = defaultdict(list)
    for index, leg in enumerate(legs):
        takers[leg.first.token_in].append(index)
        givers[leg.first.token_out].append(index)
    used: set[int] = set()
    routes = []
    for flash in (False, True):
        for index, start in enumerate(legs):
            if index in used or start.first.payer in pools:
                continue
            closing = [end for end in givers[start.first.token_in] if end != index and legs[end].closes(start)]
            ends = [end for end in closing if end not in used and (end < index) is flash]
            route = _shortest(legs, takers, index, ends, used.union(closing)) if ends else None
            if route:
                used.update(route)
                routes.append([legs[step] for step in route])
    return routes


def _shortest(
    legs: list[Leg], takers: dict[bytes, list[int]], start: int, ends: list[int], barred: set[int]
) -> list[int] | None:
    """The shortest route from ``start`` to one of ``ends`` that passes none of ``barred``: breadth first.

    Invariant: the queue holds routes by length and then by the order of their legs, so the first to arrive is the one.
    """
    before: dict[int, int] = {start: -1}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        for end in ends:
            if legs[at].feeds(legs[end]):
                route = [end]
                while at >= 0:
                    route.append(at)
                    at = before[at]
                return route[::-1]
        for step in takers[legs[at].first.token_out]:
            if step not in before and step not in barred and legs[at].feeds(legs[step]):
                before[step] = at
                queue.append(step)
    return None


def _parallel(trades: list[Trade]) -> list[Leg]:
    """Swaps of the same tokens between the same hands as one leg each; nothing where no swap has a parallel one."""
    groups: dict[tuple[bytes, ...], list[Trade]] = defaultdict(list)
    for trade in trades:
        groups[trade.token_in, trade.token_out, trade.payer, trade.recipient].append(trade)
    legs = [Leg.of(*group) for group in groups.values()]
    return legs if len(legs) < len(trades) else []


def _over_unseen(legs: list[Leg], pct: int) -> list[list[Leg]]:
    """Routes with a gap: token B leaves, token B comes back later, and what happened between is on pools not recorded.

    As evidence, what comes back is within ``pct`` percent of what left, and the seen legs do not themselves meet (a
    swap there and another back whose amounts have nothing to do with one another is no route). Legs that carry the
    token on to the gap, or from it, belong to the route.
    """
    used: set[int] = set()
    routes = []
    for index, start in enumerate(legs):
        if index in used:
            continue
        for end in range(len(legs) - 1, index, -1):
            last = legs[end]
            if (
                end in used
                or not last.closes(start)
                or last.first.token_in == start.first.token_out
                or not nearly_equal(start.amount_in, last.amount_out, pct * 10_000)
            ):
                continue
            free = [step for step in range(index + 1, end) if step not in used]
            head, tail = [index], [end]
            for step in free:
                if legs[head[-1]].feeds(legs[step]):
                    head.append(step)
            for step in reversed(free):
                if step not in head and legs[step].feeds(legs[tail[-1]]):
                    tail.append(step)
            route = head + tail[::-1]
            used.update(route)
            routes.append([legs[step] for step in route])
            break
    return routes
