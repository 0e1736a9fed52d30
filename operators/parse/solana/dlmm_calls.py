"""Meteora DLMM instructions that create pairs, set fees, open and close positions and move liquidity between bins.

The instructions say no amounts of bins: an update of liquidity names the bins touched (``tick_lower`` to
``tick_upper``, both inclusive) and, where it is told, the active bin (``tick``).
Layouts: MeteoraAg/dlmm-sdk, ``dlmm.json``.
"""

from __future__ import annotations

from collections.abc import Callable

from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.amm.bins.dlmm_math import FEE_PRECISION, fee_rate
from mevflow.operators.amm.concentrated.curve import PIPS
from mevflow.operators.parse.changes import PoolInstruction, StateChange, checked_range
from mevflow.v1 import market_pb2 as market

CREATE, LIQUIDITY, FEE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
)
#: An instruction has at most 1,232 bytes: no list is longer.
_MOST_BINS = 400


def base_fee_pips(bin_step: int, base_factor: int, power: int) -> int:
    """The fee of a calm pair, rounded up to a hundredth of a basis point."""
    return -(-fee_rate(bin_step, base_factor, power, 0, 0) * PIPS // FEE_PRECISION)


def base_fee(base_factor: int, power: int) -> dict[str, object]:
    """A ``BinFees`` that states the base fee alone."""
    names = market.BinFees.DESCRIPTOR.fields
    rest = {field.name: False if field.type == field.TYPE_BOOL else 0 for field in names}
    return {**rest, "base_factor": base_factor, "base_fee_power": power}


def _create(pool: int, mint_x: int, step: bool, factor: bool = False) -> Callable[[PoolInstruction], StateChange]:
    def call(instruction: PoolInstruction) -> StateChange:
        read = instruction.arguments("create pair")
        fields: dict[str, object] = {"tick": read.i32()}
        if step:
            bin_step = read.u16()
            fields["tick_spacing"] = bin_step
            if factor:
                fields["fee_pips"] = min(base_fee_pips(bin_step, read.u16(), 0), PIPS // 10)
        fields["mint_a"], fields["mint_b"] = instruction.key(mint_x), instruction.key(mint_x + 1)
        return StateChange(CREATE, instruction.key(pool), fields)

    return call


def _permissioned(instruction: PoolInstruction) -> StateChange:
    read = instruction.arguments("create pair")
    tick, step, factor, power = read.i32(), read.u16(), read.u16(), read.u8()
    read.require(power <= 4, f"a base fee power of {power}")
    fields = {"tick": tick, "tick_spacing": step, "fee_pips": min(base_fee_pips(step, factor, power), PIPS // 10)}
    mints = {"mint_a": instruction.key(3), "mint_b": instruction.key(4)}
    return StateChange(CREATE, instruction.key(1), {**fields, **mints})


def _base_fee(instruction: PoolInstruction) -> StateChange:
    """The fee depends on the pair's bin step: ``dlmm_base`` waits for it."""
    read = instruction.arguments("base fee")
    read.skip(2)
    factor, power = read.u16(), read.u8() if len(instruction.data) > 12 else 0
    read.require(power <= 4, f"a base fee power of {power}")
    return StateChange(FEE, instruction.key(0), {"dlmm_base": (factor, power)})


def _open(position: int, pool: int) -> Callable[[PoolInstruction], StateChange]:
    def call(instruction: PoolInstruction) -> StateChange:
        read = instruction.arguments("position")
        lower, width = read.i32(), read.i32()
        read.require(0 < width < 1 << 16, f"a width of {width} bins")
        fields = {"tick_lower": lower, "tick_upper": lower + width - 1}
        return StateChange(LIQUIDITY, instruction.key(pool), fields, instruction.key(position), opens=True)

    return call


def _close(instruction: PoolInstruction) -> StateChange:
    return StateChange(LIQUIDITY, position=instruction.key(0))


def _plain(instruction: PoolInstruction) -> StateChange:
    return StateChange(LIQUIDITY, instruction.key(1), position=instruction.key(0))


def _resized(position: int) -> Callable[[PoolInstruction], StateChange]:
    """An empty stretch of bins comes to a position, or goes: which, its next opening alone would tell."""
    return lambda instruction: StateChange(LIQUIDITY, position=instruction.key(position), resized=True)


def _rebalanced(instruction: PoolInstruction) -> StateChange:
    """A position's liquidity goes into other bins, which the program's event names."""
    return StateChange(LIQUIDITY, instruction.key(1), position=instruction.key(0), resized=True)


def _listed(skip: int, entry: int, active: bool = False) -> Callable[[PoolInstruction], StateChange]:
    """Bins as a list of ``entry`` bytes each, the bin first; the active bin and a tolerance before it if ``active``."""

    def call(instruction: PoolInstruction) -> StateChange:
        read = instruction.arguments("bins")
        read.skip(skip)
        fields: dict[str, object] = {"tick": read.i32()} if active else {}
        if active:
            read.skip(4)
        fields.update(_span(read, entry))
        return StateChange(LIQUIDITY, instruction.key(1), fields, instruction.key(0))

    return call


def _cancelled(instruction: PoolInstruction) -> StateChange:
    """A limit order leaves the bins that are listed."""
    return StateChange(LIQUIDITY, instruction.key(0), _span(instruction.arguments("bins"), 4))


def _span(read: AccountReader, entry: int) -> dict[str, object]:
    count = read.u32()
    read.require(count <= _MOST_BINS, f"a list of {count} bins")
    bins = []
    for _ in range(count):
        bins.append(read.i32())
        read.skip(entry - 4)
    return {"tick_lower": min(bins), "tick_upper": max(bins)} if bins else {}


def _ranged(skip: int, active: bool) -> Callable[[PoolInstruction], StateChange]:
    def call(instruction: PoolInstruction) -> StateChange:
        read = instruction.arguments("range of bins")
        read.skip(skip)
        fields: dict[str, object] = {"tick": read.i32()} if active else {}
        if active:
            read.skip(4)
        fields["tick_lower"], fields["tick_upper"] = checked_range(read.i32(), read.i32())
        return StateChange(LIQUIDITY, instruction.key(1), fields, instruction.key(0))

    return call


def _go_to(instruction: PoolInstruction) -> StateChange:
    return StateChange(LIQUIDITY, instruction.key(0), {"tick": instruction.arguments("bin").i32()})


DLMM: dict[str, Callable[[PoolInstruction], StateChange]] = {
    "initialize_lb_pair": _create(0, 2, step=True),
    "initialize_lb_pair2": _create(0, 2, step=False),
    "initialize_customizable_permissionless_lb_pair": _create(0, 2, step=True, factor=True),
    "initialize_customizable_permissionless_lb_pair2": _create(0, 2, step=True, factor=True),
    "initialize_permission_lb_pair": _permissioned,
    "update_base_fee_parameters": _base_fee,
    "initialize_position": _open(1, 2),
    "initialize_position2": _open(1, 2),
    "initialize_position_pda": _open(2, 3),
    "initialize_position_by_operator": _open(2, 3),
    "close_position": _close,
    "close_position2": _close,
    "close_position_if_empty": _close,
    "add_liquidity": _listed(16, 8),
    "add_liquidity2": _listed(16, 8),
    "add_liquidity_by_weight": _listed(16, 6, active=True),
    "add_liquidity_by_weight2": _listed(16, 6, active=True),
    "add_liquidity_by_strategy": _ranged(16, active=True),
    "add_liquidity_by_strategy2": _ranged(16, active=True),
    "add_liquidity_by_strategy_one_side": _ranged(8, active=True),
    "add_liquidity_one_side": _listed(8, 6, active=True),
    "add_liquidity_one_side_precise": _listed(0, 8),
    "add_liquidity_one_side_precise2": _listed(0, 8),
    "remove_liquidity": _listed(0, 6),
    "remove_liquidity2": _listed(0, 6),
    "remove_liquidity_by_range": _ranged(0, active=False),
    "remove_liquidity_by_range2": _ranged(0, active=False),
    "remove_all_liquidity": _plain,
    "rebalance_liquidity": _rebalanced,
    "increase_position_length": _resized(2),
    "increase_position_length2": _resized(2),
    "decrease_position_length": _resized(1),
    "go_to_a_bin": _go_to,
    "cancel_limit_order": _cancelled,
}
