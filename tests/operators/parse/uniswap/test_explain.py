"""Liquidity found again from what a swap did."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mevflow.operators.amm.concentrated import tick_math_x96, uniswap_v3
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.parse.uniswap.explain import SwapOutcome, _two_changes, explain
from mevflow.operators.parse.uniswap.segments import Segments

SPACING = 10
LIQUIDITY = st.integers(10**18, 10**19)


def pool(path: dict[int, int], tick: int) -> ConcentratedState:
    """A pool near the recorded price whose liquidity by segment is ``path``."""
    ordered = sorted(path)
    changed = [k for k in ordered[1:] if path[k] != path[k - 1]]
    return ConcentratedState(
        sqrt_price=tick_math_x96.price_at(tick) + 1,
        liquidity=path[tick // SPACING],
        tick=tick,
        fee_pips=500,
        tick_spacing=SPACING,
        ticks=tuple(k * SPACING for k in changed),
        liquidity_net=tuple(path[k] - path[k - 1] for k in changed),
        known_tick_lower=ordered[0] * SPACING,
        known_tick_upper=(ordered[-1] + 1) * SPACING,
    )


def swapped(state: ConcentratedState, a_to_b: bool, exact_in: bool, amount: int, limit: int | None) -> SwapOutcome:
    quote = uniswap_v3.swap(state, a_to_b, amount, exact_in, limit)
    return SwapOutcome(
        a_to_b,
        quote.amount_in,
        quote.amount_out,
        quote.sqrt_price_after,
        quote.liquidity_after,
        quote.tick_after,
    )


def found(path: dict[int, int], known: list[int], tick: int, outcome: SwapOutcome) -> dict[int, int] | None:
    segments = Segments(SPACING)
    segments.learn({k: path[k] for k in known})
    return explain(segments, unknown(path, tick), outcome)


def ways(path: dict[int, int], tick: int, outcome: SwapOutcome) -> list[dict[int, int]]:
    """Every path with two changes that gives the outcome."""
    return list(_two_changes(Segments(SPACING), unknown(path, tick), outcome))


def unknown(path: dict[int, int], tick: int) -> ConcentratedState:
    """The pool without its ticks."""
    return replace(pool(path, tick), ticks=(), liquidity_net=())


@settings(max_examples=40)
@given(
    before=LIQUIDITY,
    middle=LIQUIDITY,
    after=LIQUIDITY,
    up=st.booleans(),
    first=st.integers(1, 4),
    second=st.integers(1, 4),
)
# Three segments in the middle, and another liquidity in five around the same centre, give the same to the unit.
@example(before=10**18, middle=1_049_762_570_189_183_488, after=10**18, up=False, first=3, second=3)
def test_two_changes_on_the_way_are_found(
    before: int, middle: int, after: int, up: bool, first: int, second: int
) -> None:
    """Segments with up to two changes of liquidity that nobody has shown before; nothing where several ways agree."""
    base = 19_900
    values = [before] * first + [middle] * second + [after] * 3
    path = {base + (at if up else -at): value for at, value in enumerate(values)}
    tick = base * SPACING + 5
    end = sorted(path)[-2] if up else sorted(path)[1]
    limit = tick_math_x96.price_at(end * SPACING + 5)
    outcome = swapped(pool(path, tick), not up, True, 1 << 200, limit)
    assert outcome.sqrt_price == limit
    explained = found(path, [], tick, outcome)
    answers = [explained] if explained is not None else ways(path, tick, outcome)
    assert explained is not None or len(answers) > 1
    assert any(all(path[segment] == value for segment, value in each.items()) for each in answers)


@settings(max_examples=40)
@given(before=LIQUIDITY, after=LIQUIDITY, up=st.booleans(), exact_in=st.booleans(), whole=st.integers(3, 6))
def test_one_change_is_found_whatever_was_asked(before: int, after: int, up: bool, exact_in: bool, whole: int) -> None:
    base = 19_900
    values = [before] * 2 + [after] * whole
    path = {base + (at if up else -at): value for at, value in enumerate(values)}
    tick = base * SPACING + 5
    end = sorted(path)[-2] if up else sorted(path)[1]
    limit = tick_math_x96.price_at(end * SPACING + 5)
    to_limit = swapped(pool(path, tick), not up, True, 1 << 200, limit)
    amount = to_limit.amount_in if exact_in else to_limit.amount_out
    outcome = swapped(pool(path, tick), not up, exact_in, amount, None)
    explained = found(path, [], tick, outcome)
    assert explained is not None
    assert all(path[segment] == value for segment, value in explained.items())


def test_what_contradicts_the_known_is_not_explained() -> None:
    path = {19_900: 10**18, 19_901: 2 * 10**18, 19_902: 10**18}
    tick = 199_005
    outcome = swapped(pool(path, tick), False, True, 1 << 200, tick_math_x96.price_at(199_025))
    assert found(path, [19_901], tick, outcome) == path
    assert found({**path, 19_901: 10**18}, [19_901], tick, outcome) is None
