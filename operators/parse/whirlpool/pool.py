"""One Whirlpool as it stands, carried forward and checked against what its vaults saw."""

from __future__ import annotations

from dataclasses import dataclass, field

from mevflow.operators.amm.concentrated import tick_math_x64 as tick_math
from mevflow.operators.amm.concentrated import whirlpool
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, Quote, position_amounts
from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.amm.inverse import Pricing, price_explaining, prices_moving
from mevflow.operators.parse.numbers import MAX_U128
from mevflow.operators.parse.output import ParseFigures

#: How far a re-anchored price may be from the carried one: 1 / REACH of it.
_REACH = 100


@dataclass(slots=True)
class Pool:
    """One pool as it stands."""

    mint_a: bytes
    mint_b: bytes
    symbols: tuple[str, str]
    decimals: tuple[int, int]
    tick_spacing: int
    fee_pips: int
    protocol_fee_bps: int
    sqrt_price: int
    liquidity: int
    tick: int
    ticks: TickMap
    figures: ParseFigures = field(default_factory=ParseFigures)

    def state(self) -> ConcentratedState:
        """What a swap needs to know."""
        ticks, nets = self.ticks.arrays()
        return ConcentratedState(
            sqrt_price=self.sqrt_price,
            liquidity=self.liquidity,
            tick=self.tick,
            fee_pips=self.fee_pips,
            tick_spacing=self.tick_spacing,
            ticks=ticks,
            liquidity_net=nets,
            known_tick_lower=tick_math.MIN_TICK,
            known_tick_upper=tick_math.MAX_TICK,
            protocol_fee_bps=self.protocol_fee_bps,
        )

    def swap(self, a_to_b: bool, asked: int, exact_in: bool, limit: int | None, moved: tuple[int, int]) -> bool:
        """Carry the pool through a swap that moved (in, out); whether the arithmetic gives just that.

        If not, the pool is re-anchored on what moved.
        """
        try:
            quote: Quote | None = whirlpool.swap(self.state(), a_to_b, asked, exact_in, limit)
        except AmmError:
            quote = None
        exact = quote is not None and (quote.amount_in, quote.amount_out) == moved
        if not exact:
            quote = self._anchored(a_to_b, *moved)
        if quote is not None:
            self.sqrt_price, self.liquidity = quote.sqrt_price_after, quote.liquidity_after
            self.tick = quote.tick_after
        self.figures.swaps += 1
        self.figures.exact += exact
        self.figures.reanchored += not exact
        return exact

    def change(self, lower: int, upper: int, delta: int, moved: tuple[int, int]) -> bool:
        """Change a position's liquidity; whether it is worth just what moved (A, B). If not, the price is re-anchored.

        Raises AmmError, and changes nothing, if there is not that much liquidity.
        """
        active = self.liquidity + (delta if lower <= self.tick < upper else 0)
        if not 0 <= active <= MAX_U128:
            raise AmmError(f"liquidity {self.liquidity} cannot become {active}")
        size, added = abs(delta), delta > 0
        exact = moved == position_amounts(whirlpool.RULES, self.sqrt_price, self.tick, lower, upper, size, added)
        self.ticks.change(lower, upper, delta)
        if not exact:
            self._anchor_on_position(lower, upper, size, added, moved)
        self.liquidity = active
        self.figures.changes += 1
        self.figures.exact_changes += exact
        return exact

    def _anchored(self, a_to_b: bool, moved_in: int, moved_out: int) -> Quote | None:
        """Where a swap of these amounts ends: from a nearby price that explains both, else by its output alone."""
        surplus = self.liquidity - self.ticks.active_at(self.tick)
        pricing = Pricing(self.ticks, self.fee_pips, self.tick_spacing, surplus)
        reach = self.sqrt_price // _REACH
        try:
            begin = price_explaining(pricing, self.sqrt_price, a_to_b, moved_in, moved_out, reach)
            if begin is not None:
                return pricing.swap_from(begin, a_to_b, moved_in)
            return whirlpool.swap(self.state(), a_to_b, moved_out, exact_in=False)
        except AmmError:
            return None

    def _anchor_on_position(self, lower: int, upper: int, size: int, added: bool, moved: tuple[int, int]) -> None:
        """Move the price to where the position is worth what moved, if that is near and in the same tick."""
        reach = self.sqrt_price // _REACH
        low = max(self.sqrt_price - reach, tick_math.price_at(lower), tick_math.MIN_SQRT_PRICE)
        high = min(self.sqrt_price + reach, tick_math.price_at(upper) - 1)
        if not lower <= self.tick < upper or low > high:
            return
        found = prices_moving((low, high), lower, upper, size, added, moved)
        if found is not None and tick_math.tick_at(sum(found) // 2) == self.tick:
            self.sqrt_price = sum(found) // 2
