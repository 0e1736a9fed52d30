"""A swap as the rules see it, and several swaps that act as one."""

from __future__ import annotations

from dataclasses import dataclass

#: Two amounts within this share of their mean, in parts per million, are one amount passed on: dust is smaller.
PASSED_ON_PPM = 10_000


@dataclass(frozen=True, slots=True)
class Trade:
    """One swap that took place.

    ``place`` orders the swaps of a transaction: a trace address, or an index. ``payer`` is who gave the pool its input
    and ``recipient`` who was given the output; both are empty where the data do not say, and then ``signer`` is all
    there is. ``row`` is the caller's own reference.
    """

    tx_index: int
    place: tuple[int, ...]
    pool: bytes
    token_in: bytes
    token_out: bytes
    amount_in: int
    amount_out: int
    signer: bytes = b""
    payer: bytes = b""
    recipient: bytes = b""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Leg:
    """One step of a route: a swap, or parallel swaps of one token for another whose amounts add up."""

    trades: tuple[Trade, ...]
    amount_in: int
    amount_out: int
    pools: frozenset[bytes]

    @classmethod
    def of(cls, *trades: Trade) -> Leg:
        """A leg of one or more swaps with the same tokens, payer and recipient."""
        return cls(
            trades,
            sum(trade.amount_in for trade in trades),
            sum(trade.amount_out for trade in trades),
            frozenset(trade.pool for trade in trades),
        )

    @property
    def first(self) -> Trade:
        """The swap that speaks for the leg's tokens, payer, recipient and place."""
        return self.trades[0]

    def feeds(self, other: Leg) -> bool:
        """Whether what this leg gives is what ``other`` takes: the token, the amount, and from hand to hand.

        A token goes from hand to hand when a pool pays the next pool, or when whoever receives also pays.
        """
        given, taken = self.first, other.first
        return (
            given.token_out == taken.token_in
            and nearly_equal(self.amount_out, other.amount_in)
            and (
                not given.recipient
                or not taken.payer
                or given.recipient == taken.payer
                or taken.payer in self.pools
                or given.recipient in other.pools
            )
        )

    def closes(self, start: Leg) -> bool:
        """Whether this leg could end a route that ``start`` begins: its token, back to who paid, from another pool."""
        return (
            self.first.token_out == start.first.token_in
            and self.first.recipient == start.first.payer
            and self.pools.isdisjoint(start.pools)
        )


def nearly_equal(a: int, b: int, ppm: int = PASSED_ON_PPM) -> bool:
    """Whether two amounts differ by less than ``ppm`` millionths of their mean; two zeros are no amount.

    >>> nearly_equal(3_366_581_562, 3_347_642_929), nearly_equal(100, 102), nearly_equal(0, 0)
    (True, False, False)
    """
    return 2_000_000 * abs(a - b) < ppm * (a + b)
