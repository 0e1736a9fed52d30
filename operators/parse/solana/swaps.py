"""Solana transactions to ``Swap`` and ``PoolUpdate`` rows, from what known programs were asked and said they did.

Takes every form of ``solana_records``. A position's range is remembered from its opening, so transactions go in chain
order.

A transaction that failed moved nothing and gives nothing. What cannot be used is rejected with a reason:
``malformed``, ``log_truncated``, ``unknown_instruction`` (of a known program), ``no_outcome`` (a swap whose amounts
the record does not show), ``unknown_pool`` (a swap whose pool the record does not name), ``truncated`` (data or
accounts are cut short), ``unsupported_encoding``, and those of ``solana_updates``. Where such a call names its pool, an
update without a kind says that the pool changed and nobody knows how.

Every row of a transaction has a coordinate (``ix_index``) of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from mevflow.operators.accounts.registry import RAYDIUM_AMM_V4
from mevflow.operators.amounts import u128
from mevflow.operators.parse.changes import FeeTerms, Memory
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.output import Output
from mevflow.operators.parse.solana.events import (
    SELF_CALL,
    VENUES,
    SwapEvent,
    decode,
    decode_ray_log,
    tells_swap,
    told_twice,
)
from mevflow.operators.parse.solana.instructions import config_of, is_swap
from mevflow.operators.parse.solana.logs import DATA, RAY_LOG, log_data
from mevflow.operators.parse.solana.mints import with_mints
from mevflow.operators.parse.solana.records import TransactionRecord, keys_of, read_record
from mevflow.operators.parse.solana.trace import ProgramCall
from mevflow.operators.parse.solana.update_events import is_known
from mevflow.operators.parse.solana.updates import lost_of, updates_of
from mevflow.v1 import market_pb2 as market

#: Where an AMM v4 swap instruction has the pool among its accounts.
_AMM_V4_POOL = 1


class SolanaSwaps:
    """Gathers rows of transactions; :meth:`flush` gives them as batches, dead letters included.

    Without ``on_error`` a rejected transaction or call raises its ParseError.
    """

    def __init__(self, on_error: OnError | None = None) -> None:
        self._output = Output(on_error)
        #: What earlier transactions told that later ones are read by.
        self.memory = Memory()

    def flush(self) -> Iterator[pa.RecordBatch]:
        return self._output.flush()

    def reject(self, error: ParseError, file: str, line: int) -> None:
        """Give what is no transaction at all its place among the dead letters."""
        self._output.reject(error, file, line, 0)

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
        base = {
            "chain": market.CHAIN_SOLANA,
            "slot": slot,
            "tx_index": tx_index,
            "timestamp_us": timestamp_us,
            "signature": signature,
        }
        try:
            record = read_record(document)
        except ParseError as error:
            self._output.reject(error, file, line, timestamp_us)
            for place, (pool, venue) in enumerate(self.memory.pools_among(keys_of(document)).items()):
                kind = market.PoolUpdate.KIND_LIQUIDITY
                self._output.updates.add(**base, ix_index=place, venue=venue, pool=pool, kind=kind)
            return
        if record is None:
            return
        base["signer"] = record.signer
        places = _Places()
        for call in record.calls:
            if call.program not in VENUES:
                continue
            try:
                self._call(call, record, base, places)
            except ParseError as error:
                error.payload = error.payload or (call.data or b"")
                self._output.reject(error, file, line, timestamp_us)
                own = record.calls[call.parent] if _is_self_call(call) and call.parent is not None else call
                for lost in lost_of(own, record.keys, self.memory):
                    self._output.updates.add(**base, ix_index=places.next(call), **lost)

    def _call(self, call: ProgramCall, record: TransactionRecord, base: dict[str, Any], places: _Places) -> None:
        """The rows of one call. Raises ParseError."""
        events = list(_events(call, record))
        updates = updates_of(call, record.calls, record.keys, self.memory, base["timestamp_us"] // 1_000_000)
        swap = None if call.data is None else is_swap(call.program, call.data)
        own = call.data is not None and not _is_self_call(call)
        told = [data for data in _self_calls(call, record.calls) if swap is None or tells_swap(call.program, data)]
        if own and swap is not False and not call.whole and not told:
            raise ParseError("the log is truncated before the end of this call", reason="log_truncated")
        if own and swap is None and not events and not updates and not told:
            raise ParseError(
                f"an instruction that begins with {(call.data or b'')[:8].hex() or 'nothing'} is not known",
                reason="unknown_instruction",
            )
        if own and swap and not events and not told:
            raise ParseError("a swap whose outcome is not in the record", reason="no_outcome")
        for event in with_mints(events, call, record):
            if event.transfer_fee_in or event.transfer_fee_out:
                # A mint takes of every transfer what no quote of the pool knows: nothing is to be found through it.
                removed = {"venue": event.venue, "pool": event.pool, "kind": market.PoolUpdate.KIND_REMOVE}
                mints = (event.mint_in, event.mint_out) if event.a_to_b else (event.mint_out, event.mint_in)
                self._output.updates.add(
                    **base, ix_index=places.next(call), **removed, mint_a=mints[0], mint_b=mints[1]
                )
            self._output.swaps.add(**base, ix_index=places.next(call), **_fields(event))
            self._keep(event, call, record)
        for update in updates:
            self._output.updates.add(**base, ix_index=places.next(call), **update)
            self.memory.keep_pool(update["pool"], update["venue"])
        if own and swap is None and (strange := _strange(call, record)):
            raise ParseError(
                f"an instruction that is not known tells an event that begins with {strange[:8].hex() or 'nothing'}",
                reason="unknown_instruction",
            )

    def _keep(self, event: SwapEvent, call: ProgramCall, record: TransactionRecord) -> None:
        """Remember a pool that was swapped in, and whose fee it has."""
        self.memory.keep_pool(event.pool, event.venue)
        accounts = [record.keys[place] if place < len(record.keys) else b"" for place in call.accounts]
        if config := config_of(call.program, call.data or b"", accounts, event.pool):
            terms = FeeTerms.LAST_SWAP if event.fee_pips else FeeTerms.UNKNOWN
            self.memory.keep_config(event.pool, config, terms)


class _Places:
    """Coordinates of the rows of one transaction: the call's number, or the next that is free."""

    def __init__(self) -> None:
        self._free = 0

    def next(self, call: ProgramCall) -> int:
        place = max(call.ordinal, self._free)
        self._free = place + 1
        return place


def _fields(event: SwapEvent) -> dict[str, Any]:
    """A swap's own columns; what the event does not state stays unset."""
    a, b = event.reserve_a, event.reserve_b
    if event.a_to_b is not None and event.reserve_in is not None:
        a, b = event.reserve_in, event.reserve_out
        if not event.a_to_b:
            a, b = b, a
    told = {"sqrt_price_x64": event.sqrt_price_x64, "liquidity": event.liquidity, "reserve_a": a, "reserve_b": b}
    return {
        "venue": event.venue,
        "pool": event.pool,
        "mint_in": event.mint_in,
        "mint_out": event.mint_out,
        "amount_in": u128(event.amount_in),
        "amount_out": u128(event.amount_out),
        "tick": event.tick or 0,
        "a_to_b": bool(event.a_to_b),
        "fee_pips": event.fee_pips,
        **{name: u128(value) for name, value in told.items() if value is not None},
    }


def _is_self_call(call: ProgramCall) -> bool:
    return call.data is not None and call.data[:8] == SELF_CALL


def _events(call: ProgramCall, record: TransactionRecord) -> Iterator[SwapEvent]:
    """The swaps that one call of a venue's program says it executed. Raises ParseError."""
    if call.data is not None and _is_self_call(call):
        others = [] if call.parent is None else _self_calls(record.calls[call.parent], record.calls)
        event = None if told_twice(call.data[8:], others) else decode(call.program, call.data[8:])
        if event is not None:
            yield event
        return
    told = [log_data(line, DATA) if line.startswith(DATA) else b"" for line in call.logged]
    for line, data in zip(call.logged, told, strict=True):
        event = None
        if call.program == RAYDIUM_AMM_V4 and line.startswith(RAY_LOG):
            event = _in_pool(decode_ray_log(log_data(line, RAY_LOG)), call, record.keys)
        elif data and not told_twice(data, told):
            event = decode(call.program, data)
        if event is not None:
            yield event


def _strange(call: ProgramCall, record: TransactionRecord) -> bytes:
    """The first event of a call of which nobody knows what it says of its pools; empty where there is none."""
    if call.program == RAYDIUM_AMM_V4:
        return b""
    logged = (log_data(line, DATA) for line in call.logged if line.startswith(DATA))
    told = (*logged, *_self_calls(call, record.calls))
    return next((one for one in told if not tells_swap(call.program, one) and not is_known(call.program, one)), b"")


def _self_calls(call: ProgramCall, trace: list[ProgramCall]) -> list[bytes]:
    """The events that a call told by calls to itself, which give rows of their own."""
    return [
        other.data[8:]
        for other in trace[call.ordinal + 1 :]
        if other.parent == call.ordinal and other.data is not None and other.data[:8] == SELF_CALL
    ]


def _in_pool(event: SwapEvent | None, call: ProgramCall, keys: list[bytes]) -> SwapEvent | None:
    """The log does not name the pool; the instruction's accounts do."""
    if event is None:
        return None
    if len(call.accounts) <= _AMM_V4_POOL or call.accounts[_AMM_V4_POOL] >= len(keys):
        raise ParseError("a swap whose pool the record does not name", reason="unknown_pool")
    return replace(event, pool=keys[call.accounts[_AMM_V4_POOL]])
