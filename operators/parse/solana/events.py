"""Swap events of Solana programs: what each program writes into its log, or into a call to itself.

Layouts: Swap and Swap2Evt of MeteoraAg/dlmm-sdk (``idls/dlmm.json``), Traded of orca-so/whirlpools (``events.rs``),
SwapEvent of raydium-io/raydium-clmm (``states/pool.rs``) and of raydium-io/raydium-cp-swap (``states/events.rs``), and
the ``ray_log`` of raydium-io/raydium-amm (``log.rs``). Programs grow events at the end; what follows is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.reader import AccountReader
from mevflow.operators.accounts.registry import METEORA_DLMM, RAYDIUM_AMM_V4, RAYDIUM_CLMM, RAYDIUM_CPMM, WHIRLPOOL
from mevflow.operators.amm.concentrated.curve import PIPS
from mevflow.operators.parse.errors import ParseError
from mevflow.v1 import market_pb2 as market

#: First bytes of a program's call to itself that only carries an event (Anchor's ``event_cpi``).
SELF_CALL = bytes.fromhex("e445a52e51cb9a1d")

_DLMM_SWAP = bytes.fromhex("516ce3becdd00ac4")
_DLMM_SWAP2 = bytes.fromhex("2e7452d7941b544d")
_TRADED = bytes.fromhex("e1ca49af932ba096")
#: Two Raydium programs use one name; the program tells them apart.
_SWAP_EVENT = bytes.fromhex("40c6cde8260871e2")
_RAY_SWAP_IN, _RAY_SWAP_OUT = 3, 4
_PC_TO_COIN, _COIN_TO_PC = 1, 2


@dataclass(frozen=True, slots=True)
class SwapEvent:
    """One executed swap as its program states it; what it does not state is None (or empty).

    Amounts are raw units that the pool received (its own fee included) and paid. ``transfer_fee_in`` is what a
    Token-2022 mint kept of what was sent to it, ``transfer_fee_out`` of what it paid. State is after the swap.
    ``a_to_b`` is None where only the mints tell the direction.
    """

    venue: int
    amount_in: int
    amount_out: int
    a_to_b: bool | None
    pool: bytes = b""
    mint_in: bytes = b""
    mint_out: bytes = b""
    sqrt_price_x64: int | None = None
    liquidity: int | None = None
    tick: int | None = None
    reserve_a: int | None = None
    reserve_b: int | None = None
    #: Reserves of the input and of the output token, where only the mints tell which is A.
    reserve_in: int | None = None
    reserve_out: int | None = None
    transfer_fee_in: int = 0
    transfer_fee_out: int = 0
    fee_pips: int = 0


def decode(program: bytes, data: bytes) -> SwapEvent | None:
    """The swap that ``data`` (an event of ``program``) states; None for another event. Raises ParseError if cut."""
    known = _EVENTS.get((program, data[:8]))
    if known is None:
        return None
    name, size, read = known
    return _read(data, name, size, data[:8], read)


def tells_swap(program: bytes, data: bytes) -> bool:
    """Whether ``data`` (an event of ``program``) states a swap."""
    return (program, data[:8]) in _EVENTS


def told_twice(data: bytes, others: Iterable[bytes]) -> bool:
    """Whether one of the ``others`` that a call told states the swap of ``data``: DLMM tells one in two events."""
    return data[:8] == _DLMM_SWAP2 and any(one[:40] == _DLMM_SWAP + data[8:40] for one in others)


def decode_ray_log(data: bytes) -> SwapEvent | None:
    """The swap that a ``ray_log`` of Raydium AMM v4 states; None for another entry. Raises ParseError if cut."""
    if not data or data[0] not in (_RAY_SWAP_IN, _RAY_SWAP_OUT):
        return None
    return _read(data, "ray_log", 1 + 8 * 7, data[:1], _ray_in if data[0] == _RAY_SWAP_IN else _ray_out)


def _read(data: bytes, name: str, size: int, first: bytes, read: Callable[[AccountReader], SwapEvent]) -> SwapEvent:
    try:
        return read(AccountReader(data, name, size, first))
    except AccountError as wrong:
        raise ParseError(wrong.message, reason="malformed", payload=data) from wrong


def _dlmm(read: AccountReader) -> SwapEvent:
    pool = read.key()
    read.skip(32 + 4)
    end, amount_in, amount_out = read.i32(), read.u64(), read.u64()
    return SwapEvent(market.VENUE_METEORA_DLMM, amount_in, amount_out, bool(read.u8()), pool, tick=end)


def _dlmm2(read: AccountReader) -> SwapEvent:
    """What an order left unfilled, or a fee of the output, the event does not tell apart from what moved."""
    pool = read.key()
    read.skip(32 + 4)
    end, for_y = read.i32(), bool(read.u8())
    read.skip(16)
    amount_in, left, amount_out = read.u64(), read.u64(), read.u64()
    read.skip(8 * 4)
    if left or not read.u8():
        raise ParseError("a swap whose amounts its event does not tell for sure", reason="no_outcome")
    return SwapEvent(market.VENUE_METEORA_DLMM, amount_in, amount_out, for_y, pool, tick=end)


def _whirlpool(read: AccountReader) -> SwapEvent:
    pool, a_to_b = read.key(), bool(read.u8())
    read.skip(16)
    price, sent, amount_out, kept = read.u128(), read.u64(), read.u64(), read.u64()
    withheld = read.u64() if len(read.data) >= read.at + 8 else 0
    read.require(kept <= sent, f"transfer fee {kept} is more than the input {sent}")
    return SwapEvent(
        market.VENUE_ORCA_WHIRLPOOL, sent - kept, amount_out, a_to_b, pool, sqrt_price_x64=price, transfer_fee_in=kept,
        transfer_fee_out=withheld,
    )  # fmt: skip


def _clmm(read: AccountReader) -> SwapEvent:
    pool = read.key()
    read.skip(32 * 3)
    a, b = (read.u64(), read.u64()), (read.u64(), read.u64())  # amount, transfer fee
    a_to_b = bool(read.u8())
    (amount_in, kept), (received, withheld) = (a, b) if a_to_b else (b, a)
    price, liquidity, tick = read.u128(), read.u128(), read.i32()
    return SwapEvent(
        market.VENUE_RAYDIUM_CLMM, amount_in, received + withheld, a_to_b, pool,
        sqrt_price_x64=price, liquidity=liquidity, tick=tick, transfer_fee_in=kept, transfer_fee_out=withheld,
    )  # fmt: skip


def _cpmm(read: AccountReader) -> SwapEvent:
    """The vaults before it, less what is owed. Of the trade fee the program owes shares that the event does not tell:
    the input's reserve is too large by them until the next event states it."""
    pool = read.key()
    into, out, amount_in, amount_out, kept, withheld = (read.u64() for _ in range(6))
    read.skip(1)
    mints: tuple[bytes, bytes] = b"", b""
    creator_in = creator_out = fee_pips = 0
    if len(read.data) >= read.at + 64:
        mints = read.key(), read.key()
    if len(read.data) >= read.at + 17:
        trade_fee, creator = read.u64(), read.u64()
        creator_in, creator_out = (creator, 0) if read.u8() else (0, creator)
        fee_pips = 0 if creator else _rate_of(trade_fee, amount_in)
    after = into + amount_in - creator_in, out - amount_out - creator_out
    told = min(after) > 0  # else the event contradicts itself, and tells no reserves
    return SwapEvent(
        market.VENUE_RAYDIUM_CPMM, amount_in, amount_out, None, pool, *mints,
        reserve_in=after[0] if told else None, reserve_out=after[1] if told else None,
        transfer_fee_in=kept, transfer_fee_out=withheld, fee_pips=fee_pips,
    )  # fmt: skip


def _rate_of(fee: int, amount: int) -> int:
    """The one rate in millionths of which ``fee``, rounded up, is of ``amount``; 0 where several are."""
    if not fee or not amount:
        return 0
    rate = fee * PIPS // amount
    fits = [each for each in (rate - 1, rate, rate + 1) if 0 < each < PIPS and -(-amount * each // PIPS) == fee]
    return fits[0] if len(fits) == 1 else 0


def _ray_in(read: AccountReader) -> SwapEvent:
    amount_in = read.u64()
    read.skip(8)
    direction = read.u64()
    read.skip(8)
    return _ray(read, direction, amount_in, (read.u64(), read.u64()), read.u64())


def _ray_out(read: AccountReader) -> SwapEvent:
    read.skip(8)
    amount_out, direction = read.u64(), read.u64()
    read.skip(8)
    reserves = read.u64(), read.u64()
    return _ray(read, direction, read.u64(), reserves, amount_out)


def _ray(read: AccountReader, direction: int, amount_in: int, reserves: tuple[int, int], amount_out: int) -> SwapEvent:
    """``reserves`` are (coin, pc) before the swap."""
    read.require(direction in (_PC_TO_COIN, _COIN_TO_PC), f"direction is {direction}")
    a_to_b = direction == _COIN_TO_PC
    coin, pc = reserves
    read.require(amount_out <= (pc if a_to_b else coin), f"output {amount_out} is more than the pool holds")
    after = (coin + amount_in, pc - amount_out) if a_to_b else (coin - amount_out, pc + amount_in)
    return SwapEvent(market.VENUE_RAYDIUM_V4, amount_in, amount_out, a_to_b, reserve_a=after[0], reserve_b=after[1])


#: (program, first eight bytes) -> (name, least size, reader).
_EVENTS: dict[tuple[bytes, bytes], tuple[str, int, Callable[[AccountReader], SwapEvent]]] = {
    (METEORA_DLMM, _DLMM_SWAP): ("DLMM Swap event", 8 + 64 + 8 + 16 + 1, _dlmm),
    (METEORA_DLMM, _DLMM_SWAP2): ("DLMM Swap2Evt event", 8 + 64 + 8 + 1 + 16 + 24 + 32 + 2, _dlmm2),
    (WHIRLPOOL, _TRADED): ("Whirlpool Traded event", 8 + 32 + 1 + 32 + 24, _whirlpool),
    (RAYDIUM_CLMM, _SWAP_EVENT): ("Raydium CLMM SwapEvent", 8 + 128 + 32 + 1 + 36, _clmm),
    (RAYDIUM_CPMM, _SWAP_EVENT): ("Raydium CPMM SwapEvent", 8 + 32 + 48 + 1, _cpmm),
}

#: Programs whose swaps these events tell.
VENUES = {WHIRLPOOL, RAYDIUM_CLMM, RAYDIUM_CPMM, METEORA_DLMM, RAYDIUM_AMM_V4}
