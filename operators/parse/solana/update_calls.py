"""What an instruction of a venue's program does to a pool, as far as its data and its accounts tell.

Places of accounts and layouts of arguments after the programs' published interfaces (see ``solana_instructions``).
Concentrated venues name a position, not its range: the range is that of the instruction that opened it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.registry import METEORA_DLMM, RAYDIUM_AMM_V4, RAYDIUM_CLMM, RAYDIUM_CPMM, WHIRLPOOL
from mevflow.operators.amm.concentrated.curve import PIPS
from mevflow.operators.parse.changes import PoolInstruction, StateChange, as_parse_error, checked_range
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.dlmm_calls import DLMM
from mevflow.operators.parse.solana.terms import amm_v4_params, config, status, uncarried, unsaid, whirlpool_fee
from mevflow.v1 import market_pb2 as market

CREATE, LIQUIDITY, FEE, REMOVE = (
    market.PoolUpdate.KIND_CREATE,
    market.PoolUpdate.KIND_LIQUIDITY,
    market.PoolUpdate.KIND_FEE,
    market.PoolUpdate.KIND_REMOVE,
)
_INITIALIZE2, _DEPOSIT, _WITHDRAW, _SET_PARAMS, _WITHDRAW_PNL = 1, 3, 4, 6, 7
#: Bits of a pool's status that close it to swaps.
_CLMM_CLOSED, _CPMM_CLOSED, _DLMM_CLOSED = 1 << 4, 1 << 2, 0xFF
#: What AMM v4 gives every new pool (``Fees::initialize``): 25 of 10,000.
_AMM_V4_FEE_PIPS = 2_500
_Read = Callable[[PoolInstruction], StateChange | None]


def change_of(program: bytes, instruction: PoolInstruction) -> StateChange | None:
    """The change that an instruction makes; None for one that changes no pool. Raises ParseError."""
    if program == RAYDIUM_AMM_V4:
        read = _AMM_V4.get(instruction.data[0]) if instruction.data else None
    else:
        read = _CALLS.get(program, {}).get(instruction.data[:8])
    if read is None:
        return None
    try:
        return read(instruction)
    except AccountError as wrong:
        raise as_parse_error(wrong, instruction.data) from wrong


def _open(position: int, pool: int, skip: int = 0, liquidity: bool = False) -> _Read:
    """A position with its range after ``skip`` bytes; ``liquidity`` in it after two tick array starts (CLMM)."""

    def call(instruction: PoolInstruction) -> StateChange:
        read = instruction.arguments("open position")
        read.skip(skip)
        lower, upper = checked_range(read.i32(), read.i32())
        fields = {"tick_lower": lower, "tick_upper": upper}
        if not liquidity:
            fields["liquidity_delta"] = 0
        else:
            read.skip(8)
            if amount := read.u128():  # zero: by amounts, and only the event tells
                fields["liquidity_delta"] = amount
        return StateChange(LIQUIDITY, instruction.key(pool), fields, instruction.key(position), opens=True)

    return call


def _close(position: int) -> _Read:
    """Only an empty position closes: no liquidity moves."""
    return lambda instruction: StateChange(LIQUIDITY, fields={"liquidity_delta": 0}, position=instruction.key(position))


def _move(position: int, pool: int, sign: int) -> _Read:
    def call(instruction: PoolInstruction) -> StateChange:
        fields: dict[str, object] = {}
        amount = instruction.arguments("change of liquidity").u128()
        if amount or sign < 0:  # an increase of zero is by amounts, and only the event tells
            fields["liquidity_delta"] = sign * amount
        return StateChange(LIQUIDITY, instruction.key(pool), fields, instruction.key(position))

    return call


def _create(
    pool: int, mint_a: int, skip: int, spacing: bool, refused: bool = False, config_at: int | None = None
) -> _Read:
    def call(instruction: PoolInstruction) -> StateChange:
        read = instruction.arguments("create pool")
        read.skip(skip)
        fields: dict[str, object] = {"tick_spacing": read.u16()} if spacing else {}
        fields["sqrt_price_x64"] = read.u128()
        fields["mint_a"], fields["mint_b"] = instruction.key(mint_a), instruction.key(mint_a + 1)
        of = b"" if config_at is None else instruction.key(config_at)
        return StateChange(CREATE, instruction.key(pool), fields, refused=refused, config=of)

    return call


def _clmm_customizable(instruction: PoolInstruction) -> StateChange:
    """A pool that may take its fee from one token only, or one that depends on how far the price moved."""
    read = instruction.arguments("create pool")
    fields = {"sqrt_price_x64": read.u128(), "mint_a": instruction.key(3), "mint_b": instruction.key(4)}
    refused = bool(read.u8() or read.u8())
    return StateChange(CREATE, instruction.key(2), fields, refused=refused, config=instruction.key(1))


def _cpmm_create(instruction: PoolInstruction) -> StateChange:
    read = instruction.arguments("initialize")
    fields = {"reserve_a": read.u64(), "reserve_b": read.u64()}
    mints = {"mint_a": instruction.key(4), "mint_b": instruction.key(5)}
    opens = read.u64() if len(instruction.data) >= read.at + 8 else 0
    return StateChange(CREATE, instruction.key(3), {**fields, **mints}, config=instruction.key(1), open_s=opens)


def _amm_v4_create(instruction: PoolInstruction) -> StateChange:
    read = instruction.arguments("initialize2", 1)
    read.skip(1)
    opens = read.u64()
    pc, coin = read.u64(), read.u64()
    mints = {"mint_a": instruction.key(8), "mint_b": instruction.key(9)}
    fields = {"reserve_a": coin, "reserve_b": pc, "fee_pips": _AMM_V4_FEE_PIPS, **mints}
    return StateChange(CREATE, instruction.key(4), fields, open_s=opens)


def _by_outcome(pool: int) -> _Read:
    """A deposit or a withdrawal: its arguments are bounds, what moved is in the log."""
    return lambda instruction: StateChange(LIQUIDITY, instruction.key(pool), needs_outcome=True)


def _by_event(instruction: PoolInstruction) -> StateChange:
    """The program's event alone tells what moved, and in which pool."""
    return StateChange(LIQUIDITY, needs_outcome=True)


def _limit_order(instruction: PoolInstruction) -> StateChange:
    """Swaps fill limit orders on the way, and no row carries them."""
    raise ParseError("a limit order, which no state of a pool carries", reason="limit_order")


def _first(name: str) -> bytes:
    return sha256(f"global:{name}".encode()).digest()[:8]


def _named(calls: dict[str, _Read]) -> dict[bytes, _Read]:
    return {_first(name): read for name, read in calls.items()}


_AMM_V4: dict[int, _Read] = {
    _INITIALIZE2: _amm_v4_create,
    _DEPOSIT: _by_outcome(1),
    _WITHDRAW: _by_outcome(1),
    _SET_PARAMS: amm_v4_params,
    _WITHDRAW_PNL: unsaid(1),
}
_CALLS: dict[bytes, dict[bytes, _Read]] = {
    WHIRLPOOL: _named(
        {
            "initialize_pool": _create(4, 1, 1, True),
            "initialize_pool_v2": _create(6, 1, 0, True),
            "initialize_pool_with_adaptive_fee": _create(7, 1, 0, False, refused=True),
            "set_adaptive_fee_constants": uncarried(0),
            "set_fee_rate_by_delegated_fee_authority": uncarried(0),
            "open_position": _open(2, 5, 1),
            "open_position_with_metadata": _open(2, 6, 2),
            "open_position_with_token_extensions": _open(2, 5),
            "open_bundled_position": _open(0, 4, 2),
            "reset_position_range": _open(3, 2),
            "close_position": _close(2),
            "close_position_with_token_extensions": _close(2),
            "close_bundled_position": _close(0),
            "increase_liquidity": _move(3, 0, 1),
            "increase_liquidity_v2": _move(5, 0, 1),
            "decrease_liquidity": _move(3, 0, -1),
            "decrease_liquidity_v2": _move(5, 0, -1),
            "increase_liquidity_by_token_amounts_v2": _by_event,
            "reposition_liquidity_v2": _by_event,
            "set_fee_rate": whirlpool_fee,
        }
    ),
    RAYDIUM_CLMM: _named(
        {
            "create_pool": _create(2, 3, 0, False, config_at=1),
            "create_customizable_pool": _clmm_customizable,
            "open_position": _open(9, 5, liquidity=True),
            "open_position_v2": _open(9, 5, liquidity=True),
            "open_position_with_token22_nft": _open(8, 4, liquidity=True),
            "close_position": _close(3),
            "increase_liquidity": _move(4, 2, 1),
            "increase_liquidity_v2": _move(4, 2, 1),
            "decrease_liquidity": _move(2, 3, -1),
            "decrease_liquidity_v2": _move(2, 3, -1),
            "open_limit_order": _limit_order,
            "increase_limit_order": _limit_order,
            "update_amm_config": config(4),
            "update_pool_status": status(1, _CLMM_CLOSED),
        }
    ),
    RAYDIUM_CPMM: _named(
        {
            "initialize": _cpmm_create,
            "deposit": _by_outcome(2),
            "withdraw": _by_outcome(2),
            "update_amm_config": config(8),
            "update_pool_status": status(1, _CPMM_CLOSED),
        }
    ),
    METEORA_DLMM: _named(
        {
            **DLMM,
            "update_dynamic_fee_parameters": uncarried(0),
            "place_limit_order": _limit_order,
            "set_pair_status": status(0, _DLMM_CLOSED),
            "set_pair_status_permissionless": status(0, _DLMM_CLOSED),
            "set_activation_point": uncarried(0),
        }
    ),
}


def checked(change: StateChange) -> StateChange:
    """The change, if a ``PoolUpdate`` can carry it. Raises ParseError (value)."""
    fields = change.fields
    if fields.get("fee_pips", 0) >= PIPS:
        raise ParseError(f"a fee of {fields['fee_pips']} millionths", reason="value")
    if not -(1 << 127) <= fields.get("liquidity_delta", 0) < 1 << 127:
        raise ParseError(f"a change of liquidity of {fields['liquidity_delta']}", reason="value")
    if "tick_lower" in fields:
        checked_range(fields["tick_lower"], fields["tick_upper"])
    return change
