"""Solana transactions to ``Swap`` and ``PoolUpdate`` rows, from what known programs were asked and said they did.

Takes every form of ``solana_records``. A position's range is remembered from its opening, so transactions go in chain
order.

A transaction that failed moved nothing and gives nothing. What cannot be used is rejected with a reason:
``malformed``, ``log_truncated``, ``unknown_instruction`` (of a known program), ``no_outcome`` (a swap whose amounts
the record does not show), ``unknown_pool`` (a swap whose pool the record does not name), ``truncated`` (data or
accounts are cut short), and those of ``solana_updates``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mevflow.operators.accounts.registry import RAYDIUM_AMM_V4
from mevflow.operators.amounts import u128
from mevflow.operators.parse.changes import Memory
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.output import Output
from mevflow.operators.parse.solana.events import SELF_CALL, VENUES, SwapEvent, decode, decode_ray_log
from mevflow.operators.parse.solana.instructions import is_swap
from mevflow.operators.parse.solana.logs import DATA, RAY_LOG, log_data
from mevflow.operators.parse.solana.records import Record, read_record
from mevflow.operators.parse.solana.trace import Call
from mevflow.operators.parse.solana.updates import update_of
from mevflow.v1 import market_pb2 as market

_TRANSFER, _TRANSFER_CHECKED = 3, 12
#: Where an AMM v4 swap instruction has the pool among its accounts.
_AMM_V4_POOL = 1


class SolanaSwaps:
    """Gathers rows of transactions; :meth:`flush` gives them as batches, dead letters included.

    Without ``on_error`` a rejected transaction or call raises its ParseError.
    """

    def __init__(self, on_error: OnError | None = None) -> None:
        self._output = Output(on_error)
        self._memory = Memory()

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
            record = read_record(document)
        except ParseError as error:
            self._output.reject(error, file, line, timestamp_us)
            return
        if record is None:
            return
        for call in record.calls:
            if call.program not in VENUES:
                continue
            try:
                for event in _events(call, record.calls, record.keys):
                    found = _with_mints(event, call, record)
                    self._row(found, call, record, slot, tx_index, timestamp_us, signature)
                update = update_of(call, record.calls, record.keys, self._memory)
                if update is not None:
                    self._output.updates.add(
                        chain=market.CHAIN_SOLANA,
                        slot=slot,
                        tx_index=tx_index,
                        ix_index=call.ordinal,
                        timestamp_us=timestamp_us,
                        signature=signature,
                        signer=record.signer,
                        **update,
                    )
            except ParseError as error:
                error.payload = error.payload or (call.data or b"")
                self._output.reject(error, file, line, timestamp_us)

    def _row(
        self,
        event: SwapEvent,
        call: Call,
        record: Record,
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
            signer=record.signer,
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
        if call.program == RAYDIUM_AMM_V4 and line.startswith(RAY_LOG):
            event = _in_pool(decode_ray_log(log_data(line, RAY_LOG)), call, keys)
        elif line.startswith(DATA):
            event = decode(call.program, log_data(line, DATA))
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


def _with_mints(event: SwapEvent, call: Call, record: Record) -> SwapEvent:
    """``event`` with the mints of the transfers that moved its amounts, where the record shows them."""
    owner = call.parent if call.data is not None and call.data[:8] == SELF_CALL else call.ordinal
    mint_in, mint_out = event.mint_in, event.mint_out
    for other in record.calls:
        moved = _transfer(other) if other.parent == owner else None
        if moved is None:
            continue
        amount, accounts = moved
        mint = next((record.mints[index] for index in accounts if index in record.mints), b"")
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
