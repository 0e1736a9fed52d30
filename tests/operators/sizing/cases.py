"""Random cycles of every kind of leg, and the best input by search over exact quotes alone."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import Bin, FeeRule, Volatility
from mevflow.operators.amm.concentrated import tick_math_x64, tick_math_x96
from mevflow.operators.amm.concentrated.curve import ConcentratedState
from mevflow.operators.amm.stable.saber import SaberState
from mevflow.operators.amm.stable.solidly import SolidlyState
from mevflow.operators.amm.stable.swap import StableState
from mevflow.operators.sizing.legs import BinsLeg, ConcentratedLeg, Leg, ReservesLeg, SaberLeg, SolidlyLeg, StableLeg
from mevflow.operators.sizing.size import quote

KINDS = (
    "uniswap_v2",
    "raydium_v4",
    "raydium_cpmm",
    "whirlpool",
    "clmm",
    "uniswap_v3",
    "curve2",
    "curve3",
    "saber",
    "dlmm",
    "solidly",
)
_RESERVES = {"uniswap_v2": 2, "raydium_v4": 4, "raydium_cpmm": 5}
_TICKED = {"whirlpool": (1, tick_math_x64, 64), "clmm": (6, tick_math_x64, 60), "uniswap_v3": (3, tick_math_x96, 60)}


@st.composite
def legs(draw: st.DrawFn, kind: str, depth: int) -> Leg:
    """A leg near a price of 1 that holds about ``depth`` on each side (few programs' amounts are above 64 bits)."""
    tilt = draw(st.floats(-0.03, 0.03))
    a_to_b = draw(st.booleans())
    much = int(depth * draw(st.floats(0.3, 3.0)))
    if kind in _RESERVES:
        return ReservesLeg(
            (max(much, 2), max(int(much * (1 + tilt)), 2)), draw(st.integers(0, 10_000)), a_to_b, _RESERVES[kind]
        )
    if kind in _TICKED:
        venue, maths, spacing = _TICKED[kind]
        tick = int(tilt * 10_000)
        widths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6, unique=True))
        nets: dict[int, int] = {}
        active = 0
        for width in widths:
            low, high = -width * spacing, width * spacing
            added = max(much * 10 // len(widths), 1)
            nets[low] = nets.get(low, 0) + added
            nets[high] = nets.get(high, 0) - added
            active += added if low <= tick < high else 0
        state = ConcentratedState(
            maths.price_at(tick) + 1,
            active,
            tick,
            draw(st.sampled_from([100, 500, 3_000, 10_000])),
            spacing,
            tuple(sorted(nets)),
            tuple(nets[at] for at in sorted(nets)),
        )
        return ConcentratedLeg(state, a_to_b, 1 << (96 if kind == "uniswap_v3" else 64), venue, through_empty=True)
    if kind == "saber":
        saber = SaberState(
            much, int(much * (1 + 10 * tilt)) + 1, draw(st.integers(1, 2_000)), draw(st.integers(0, 40)), 10_000
        )
        return SaberLeg(saber, a_to_b)
    if kind == "solidly":
        units = 10 ** draw(st.sampled_from([6, 9])), 10 ** draw(st.sampled_from([6, 9]))
        if depth > 10**18:
            units = 10**18, 10**18
        held = max(much * units[0] // max(units), 2), max(int(much * (1 + tilt)) * units[1] // max(units), 2)
        return SolidlyLeg(SolidlyState(*held, *units, draw(st.sampled_from([0, 500, 3_000]))), a_to_b)
    if kind.startswith("curve"):
        coins = int(kind[-1])
        balances = tuple(int(much * draw(st.floats(0.2, 2.0))) + 1 for _ in range(coins))
        i, j = draw(st.permutations(range(coins)))[:2]
        rates = (10**18,) * coins
        return StableLeg(StableState(balances, rates, draw(st.integers(1, 2_000)), 1, 4_000_000, 0), i, j)
    step = draw(st.sampled_from([1, 10, 50]))
    active = int(tilt * 10_000 / step)
    bins = {}
    for number in range(active - 12, active + 13):
        inside = draw(st.integers(0, 3)) * (much // 20 + 1)
        bins[number] = Bin(0, inside if number >= active else 0, inside if number <= active else 0)
    rule = FeeRule(
        draw(st.sampled_from([1_000, 10_000])), 0, 30, 600, 5_000, draw(st.sampled_from([0, 40_000])), 350_000, 0
    )
    pair = dlmm.state_of(step, active, rule, Volatility(0, 0, active, 0), bins, known=(active - 12, active + 12))
    return BinsLeg(pair, a_to_b, 1_000)


@st.composite
def cycles(draw: st.DrawFn, smallest: int = 10**6, largest: int = 10**16) -> list[Leg]:
    """Two to four legs of any kinds."""
    count = draw(st.integers(2, 4))
    depth = int(10 ** draw(st.floats(len(str(smallest)) - 1, len(str(largest)) - 1)))
    return [draw(legs(draw(st.sampled_from(KINDS)), depth)) for _ in range(count)]


def profit(cycle: Sequence[Leg], amount: int) -> int:
    """What ``amount`` gains; less than any loss when a leg cannot take it."""
    amounts = quote(cycle, amount) if amount > 0 else [0, 0]
    return amounts[-1] - amounts[0] if amounts is not None else -amount - 1


def searched(cycle: Sequence[Leg], most: int) -> tuple[int, int]:
    """(input, profit) of the best: golden-section-like narrowing over integers, then every input nearby."""
    best = max(((amount, profit(cycle, amount)) for amount in _spread(1, most, 400)), key=lambda found: found[1])
    low, high = max(best[0] * 3 // 4, 1), best[0] * 4 // 3 + 2
    while high - low > 600:
        tried = [(amount, profit(cycle, amount)) for amount in _spread(low, high, 40, straight=True)]
        top = max(range(len(tried)), key=lambda at: tried[at][1])
        best = max(best, tried[top], key=lambda found: found[1])
        low, high = tried[max(top - 2, 0)][0], tried[min(top + 2, len(tried) - 1)][0]
    near = ((amount, profit(cycle, amount)) for amount in range(low, high + 1))
    return max([best, *near], key=lambda found: found[1])


def _spread(low: int, high: int, count: int, straight: bool = False) -> list[int]:
    if straight:
        return sorted({low + (high - low) * at // count for at in range(count + 1)})
    return sorted({max(1, int(low * (high / low) ** (at / count))) for at in range(count + 1)})
