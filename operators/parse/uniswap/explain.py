"""Which liquidity a Uniswap v3 swap passed through, from what its log states.

A swap is run again over a guess of the liquidity along its way. A guess that gives both amounts, the price, the
liquidity and the tick of the log to the unit is taken for the truth: dozens of digits do not agree by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from mevflow.operators.amm.concentrated import tick_math_x96, uniswap_v3
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, Quote
from mevflow.operators.amm.inverse import first_true
from mevflow.operators.parse.numbers import MAX_U128
from mevflow.operators.parse.uniswap.segments import Segments

#: More than any pool holds: an input that only a price limit can stop.
_UNLIMITED = 1 << 200
#: The longest unknown stretch in which two changes are looked for: 78 ways to place them.
_LONGEST_STRETCH = 12

#: Liquidity by segment, over every segment of a swap's way.
Path = dict[int, int]
#: (amount, whether of the input, price limit): what somebody may have asked the contract for.
_Asked = tuple[int, bool, int | None]


@dataclass(frozen=True, slots=True)
class SwapOutcome:
    """What a Swap log states, from the trader's view."""

    a_to_b: bool
    amount_in: int
    amount_out: int
    sqrt_price: int
    liquidity: int
    tick: int

    def asked(self) -> tuple[_Asked, ...]:
        """An exact input, an exact output, or as much as moves the price to a limit."""
        return (
            (self.amount_in, True, None),
            (self.amount_out, False, None),
            (_UNLIMITED, True, self.sqrt_price),
        )

    def is_of(self, quote: Quote) -> bool:
        """Whether the quote is this to the unit."""
        return (quote.amount_in, quote.amount_out, quote.sqrt_price_after) == (
            self.amount_in,
            self.amount_out,
            self.sqrt_price,
        ) and (quote.liquidity_after, quote.tick_after) == (self.liquidity, self.tick)


def explain(segments: Segments, before: ConcentratedState, outcome: SwapOutcome) -> Path | None:
    """The path that reproduces ``outcome`` from ``before`` (whose ticks are not read), or None.

    Tries at most one change of liquidity in each unknown stretch, then two in a single stretch.
    """
    for path in segments.paths(before.tick, outcome.tick, before.liquidity, outcome.liquidity):
        if any(_gives(_over(before, path), outcome, asked) for asked in outcome.asked()):
            return path
    solved = list(_two_changes(segments, before, outcome))
    return solved[0] if len(solved) == 1 else None


def _over(before: ConcentratedState, path: Path) -> ConcentratedState:
    """``before`` with the ticks of ``path``, and a segment of room at both ends."""
    spacing, ordered = before.tick_spacing, sorted(path)
    changed = [segment for segment in ordered[1:] if path[segment] != path[segment - 1]]
    return replace(
        before,
        ticks=tuple(segment * spacing for segment in changed),
        liquidity_net=tuple(path[segment] - path[segment - 1] for segment in changed),
        known_tick_lower=max((ordered[0] - 1) * spacing, tick_math_x96.MIN_TICK),
        known_tick_upper=min((ordered[-1] + 2) * spacing, tick_math_x96.MAX_TICK),
    )


def _swap(state: ConcentratedState, outcome: SwapOutcome, asked: _Asked) -> Quote:
    amount, exact_in, limit = asked
    return uniswap_v3.swap(state, outcome.a_to_b, amount, exact_in, limit)


def _gives(state: ConcentratedState, outcome: SwapOutcome, asked: _Asked) -> bool:
    try:
        return outcome.is_of(_swap(state, outcome, asked))
    except AmmError:
        return False


def _two_changes(segments: Segments, before: ConcentratedState, outcome: SwapOutcome) -> Iterator[Path]:
    """Every path with an unknown liquidity somewhere inside the one unknown stretch that reproduces the log."""
    stretch = segments.unknown_between(before.tick, outcome.tick)
    if not 1 <= len(stretch) <= _LONGEST_STRETCH:
        return
    for path, free in segments.paths_with_a_middle(
        before.tick, outcome.tick, before.liquidity, outcome.liquidity, stretch
    ):
        for asked in outcome.asked():
            try:
                middle = _solve(before, path, free, outcome, asked)
            except AmmError:
                continue
            if middle is not None:
                yield path | dict.fromkeys(free, middle)
                break


def _solve(before: ConcentratedState, path: Path, free: list[int], outcome: SwapOutcome, asked: _Asked) -> int | None:
    """The one liquidity of the segments ``free`` that reproduces the log, if there is exactly one.

    More liquidity moves the price less; where the price after is the same, more goes in and more comes out.
    """
    sign = 1 if outcome.a_to_b else -1

    def quote(liquidity: int) -> Quote:
        return _swap(_over(before, path | dict.fromkeys(free, liquidity)), outcome, asked)

    measures: tuple[tuple[Callable[[Quote], int], int], ...] = (
        (lambda q: sign * q.sqrt_price_after, sign * outcome.sqrt_price),
        (lambda q: q.amount_out, outcome.amount_out),
        (lambda q: q.amount_in, outcome.amount_in),
    )
    low, high, guess = 0, MAX_U128, before.liquidity
    for measure, wanted in measures:
        first = _first(quote, measure, wanted, guess, low, high)
        if first is None or measure(quote(first)) != wanted:
            return None
        beyond = _first(quote, measure, wanted + 1, first, first, high)
        low, high = first, high if beyond is None else beyond - 1
        guess = low
    return low if low == high and outcome.is_of(quote(low)) else None


def _first(
    quote: Callable[[int], Quote], measure: Callable[[Quote], int], least: int, guess: int, low: int, high: int
) -> int | None:
    return first_true(lambda liquidity: measure(quote(liquidity)) >= least, guess, low, high)
