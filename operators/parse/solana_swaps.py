"""Solana transactions to ``Swap`` rows: every swap that a known program executed, from the events it left.

A transaction that failed moved nothing and gives nothing. What cannot be used is rejected with a reason:
``malformed``, ``log_truncated``, ``unknown_instruction`` (of a known program), ``no_outcome`` (a swap whose amounts the
record does not show), ``unknown_pool`` (a swap whose pool the record does not name).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from operators.accounts.registry import RAYDIUM_AMM_V4
from operators.amounts import u128
from operators.parse.errors import OnError, ParseError
from operators.parse.numbers import public_key
from operators.parse.output import Output
from operators.parse.solana_events import SELF_CALL, VENUES, SwapEvent, decode, decode_ray_log
from operators.parse.solana_instructions import is_swap
from operators.parse.solana_trace import Call, account_keys, calls
from proto.mevflow.v1 import market_pb2 as market

_DATA = "Program data: "
_RAY_LOG = "Program log: ray_log: "
_TRANSFER, _TRANSFER_CHECKED = 3, 12
#: Where an AMM v4 swap instruction has the pool among its accounts.
_AMM_V4_POOL = 1


class SolanaSwaps:
    """Gathers rows of transactions; :meth:`flush` gives them as batches, dead letters included.

    Without ``on_error`` a rejected transaction or call raises its ParseError.
    """

    def __init__(self, on_error: OnError | None = None) -> None:
        self._output = Output(on_error)

    def flush(self) -> Iterator[pa.RecordBatch]:
        return self._output.flush()

    def add(
        self,
        document: Mapping[str, Any],
        slot: int,
        tx_index: int = 0,
        timestamp_us: int = 0,
        signature: bytes = b"",
        file: str = "",
        line: int = 0,
    ) -> None:
        """Parse one transaction (``getTransaction`` JSON, or its ``meta``) at its place in the chain."""
        try:
            if document.get("meta", document).get("err") is not None:
                return
            trace, keys = calls(document), account_keys(document)
            mints = _mints(document)
        except ParseError as error:
            self._output.reject(error, file, line, timestamp_us)
            return
        except (AttributeError, TypeError) as wrong:
            self._output.reject(ParseError(f"not a transaction: {wrong}"), file, line, timestamp_us)
            return
        for call in trace:
            if call.program not in VENUES:
                continue
            try:
                for event in _events(call, trace, keys):
                    found = _with_mints(event, call, trace, mints)
                    self._row(found, call, keys, slot, tx_index, timestamp_us, signature)
            except ParseError as error:
                error.payload = error.payload or (call.data or b"")
                self._output.reject(error, file, line, timestamp_us)

    def _row(
        self,
        event: SwapEvent,
        call: Call,
        keys: list[bytes],
        slot: int,
        tx_index: int,
        timestamp_us: int,
        signature: bytes,
    ) -> None:
        optional = {
            name: u128(value)
            for name in ("sqrt_price_x64", "liquidity", "reserve_a", "reserve_b")
            if (value := getattr(event, name)) is not None
        }
        self._output.swaps.add(
            chain=market.CHAIN_SOLANA,
            slot=slot,
            tx_index=tx_index,
            ix_index=call.ordinal,
            timestamp_us=timestamp_us,
            signature=signature,
            signer=keys[0] if keys else b"",
            venue=event.venue,
            pool=event.pool,
            mint_in=event.mint_in,
            mint_out=event.mint_out,
            amount_in=u128(event.amount_in),
            amount_out=u128(event.amount_out),
            tick=event.tick or 0,
            a_to_b=bool(event.a_to_b),
            **optional,
        )


def _events(call: Call, trace: list[Call], keys: list[bytes]) -> Iterator[SwapEvent]:
    """The swaps that one call of a venue's program executed itself. Raises ParseError."""
    if call.data is not None and call.data[:8] == SELF_CALL:
        event = decode(call.program, call.data[8:])
        if event is not None:
            yield event
        return
    found = False
    for line in call.logged:
        event = None
        if call.program == RAYDIUM_AMM_V4 and line.startswith(_RAY_LOG):
            event = _in_pool(decode_ray_log(_base64(line.removeprefix(_RAY_LOG))), call, keys)
        elif line.startswith(_DATA):
            event = decode(call.program, _base64(line.removeprefix(_DATA)))
        if event is not None:
            found = True
            yield event
    if call.data is None:
        return
    swap = is_swap(call.program, call.data)
    if swap is None:
        raise ParseError(
            f"an instruction that begins with {call.data[:8].hex() or 'nothing'} is not known",
            reason="unknown_instruction",
        )
    told = found or any(
        other.parent == call.ordinal and other.data is not None and other.data[:8] == SELF_CALL for other in trace
    )
    if swap and not told:
        raise ParseError("a swap whose outcome is not in the record", reason="no_outcome")


def _in_pool(event: SwapEvent | None, call: Call, keys: list[bytes]) -> SwapEvent | None:
    """The log does not name the pool; the instruction's accounts do."""
    if event is None:
        return None
    if len(call.accounts) <= _AMM_V4_POOL or call.accounts[_AMM_V4_POOL] >= len(keys):
        raise ParseError("a swap whose pool the record does not name", reason="unknown_pool")
    return replace(event, pool=keys[call.accounts[_AMM_V4_POOL]])


def _with_mints(event: SwapEvent, call: Call, trace: list[Call], mints: dict[int, bytes]) -> SwapEvent:
    """``event`` with the mints of the transfers that moved its amounts, where the record shows them."""
    owner = call.parent if call.data is not None and call.data[:8] == SELF_CALL else call.ordinal
    mint_in, mint_out = event.mint_in, event.mint_out
    for other in trace:
        moved = _transfer(other) if other.parent == owner else None
        if moved is None:
            continue
        amount, accounts = moved
        mint = next((mints[index] for index in accounts if index in mints), b"")
        if amount == event.amount_in and not mint_in:
            mint_in = mint
        elif amount == event.amount_out and not mint_out:
            mint_out = mint
    a_to_b = event.a_to_b
    if a_to_b is None and mint_in and mint_out:
        # Raydium CPMM orders a pool's mints by their bytes.
        a_to_b = mint_in < mint_out
    return replace(event, mint_in=mint_in, mint_out=mint_out, a_to_b=a_to_b)


def _transfer(call: Call) -> tuple[int, tuple[int, ...]] | None:
    """(amount, token accounts) of a token program's transfer."""
    data = call.data
    if data is None or len(data) < 9 or len(call.accounts) < 3:
        return None
    if data[0] == _TRANSFER:
        return int.from_bytes(data[1:9], "little"), call.accounts[:2]
    if data[0] == _TRANSFER_CHECKED:
        return int.from_bytes(data[1:9], "little"), (call.accounts[0], call.accounts[2])
    return None


def _mints(document: Mapping[str, Any]) -> dict[int, bytes]:
    """Place of a token account -> its mint, from the balances before and after. Raises ParseError."""
    meta = document.get("meta", document)
    found: dict[int, bytes] = {}
    try:
        for balance in (*(meta.get("preTokenBalances") or ()), *(meta.get("postTokenBalances") or ())):
            found[int(balance["accountIndex"])] = public_key(balance["mint"])
    except (KeyError, TypeError, ValueError, OverflowError) as wrong:
        raise ParseError(f"not token balances: {type(wrong).__name__} {wrong}") from wrong
    return found


def _base64(text: str) -> bytes:
    """Log data, which may be several fields: only the first is an event's. Raises ParseError."""
    try:
        return base64.b64decode(text.split(" ")[0], validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise ParseError(f"{text[:40]!r} is not base64") from wrong
