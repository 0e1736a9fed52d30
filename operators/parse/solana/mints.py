"""Which mints an event's amounts are of: those of the transfers that the call made, in the order in which it made them.

An event states what the pool received and paid; a Token-2022 transfer of a mint with a fee moves more into a pool than
reaches it. A call that swaps through two pools may move what lies between them once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mevflow.operators.accounts.registry import METEORA_DLMM, RAYDIUM_CPMM
from mevflow.operators.parse.solana.events import SELF_CALL, SwapEvent
from mevflow.operators.parse.solana.instructions import is_swap
from mevflow.operators.parse.solana.records import TransactionRecord
from mevflow.operators.parse.solana.trace import ProgramCall

_TRANSFER, _TRANSFER_CHECKED = 3, 12
#: TransferFeeExtension of Token-2022, TransferCheckedWithFee.
_WITH_FEE = b"\x1a\x01"


@dataclass(frozen=True, slots=True)
class _Transfer:
    amount: int
    mint: bytes
    to: int


#: Where each of DLMM's swap instructions has its reserves and its mints, X and then Y, among its accounts.
_DLMM_RESERVES, _DLMM_MINTS = 2, 6


def with_mints(events: list[SwapEvent], call: ProgramCall, record: TransactionRecord) -> list[SwapEvent]:
    """The events of one call with the mints that its transfers show, and the direction where only mints tell it."""
    if not events:
        return []
    owner = call.parent if call.data is not None and call.data[:8] == SELF_CALL else call.ordinal
    moved = [found for other in record.calls if other.parent == owner and (found := _transfer(other, record))]
    rows: list[SwapEvent] = []
    begin = 0
    for event in events:
        named = (b"", b"")
        if call.program == METEORA_DLMM and owner is not None:
            event, named = _by_accounts(event, record.calls[owner], moved, record)
        mint_in, mint_out, begin = _of(event, moved, begin)
        mint_in, mint_out = event.mint_in or mint_in or named[0], event.mint_out or mint_out or named[1]
        a_to_b = event.a_to_b
        if a_to_b is None and mint_in and mint_out and call.program == RAYDIUM_CPMM:
            a_to_b = mint_in < mint_out  # the program orders a pool's mints by their bytes
        rows.append(replace(event, mint_in=mint_in, mint_out=mint_out, a_to_b=a_to_b))
    return rows


def _by_accounts(
    event: SwapEvent, caller: ProgramCall, moved: list[_Transfer], record: TransactionRecord
) -> tuple[SwapEvent, tuple[bytes, bytes]]:
    """A DLMM swap, and the mints (in, out) of its instruction's accounts.

    Its event does not tell what the input's mint kept of a transfer: that is what more was sent to the reserve than
    the pool received.
    """
    if not is_swap(caller.program, caller.data or b"") or len(caller.accounts) < _DLMM_MINTS + 2:
        return event, (b"", b"")
    side = 0 if event.a_to_b else 1
    into, out = (caller.accounts[_DLMM_MINTS + at] for at in (side, 1 - side))
    sent = sum(one.amount for one in moved if one.to == caller.accounts[_DLMM_RESERVES + side])
    keys = record.keys
    mints = keys[into] if into < len(keys) else b"", keys[out] if out < len(keys) else b""
    return replace(event, transfer_fee_in=max(sent - event.amount_in, 0)), mints


def _of(event: SwapEvent, moved: list[_Transfer], begin: int) -> tuple[bytes, bytes, int]:
    """(mint in, mint out, where the next event's transfers may begin) of the first pair of transfers that fits."""
    sent = event.amount_in + event.transfer_fee_in
    for first in range(begin, len(moved)):
        if moved[first].amount != sent:
            continue
        for second in range(first + 1, len(moved)):
            into, out = moved[first].mint, moved[second].mint
            if moved[second].amount == event.amount_out and (into != out or not into):
                return into, out, second
    # Some calls pay before they take, and a record may lack one of the two.
    into = next((each.mint for each in moved[begin:] if each.amount == sent), b"")
    out = next((each.mint for each in moved[begin:] if each.amount == event.amount_out and each.mint != into), b"")
    return into, out, begin


def _transfer(call: ProgramCall, record: TransactionRecord) -> _Transfer | None:
    """A token program's transfer, as it left the sender."""
    data = call.data
    if data is None or len(data) < 9 or len(call.accounts) < 3:
        return None
    checked = data[:2] == _WITH_FEE or data[0] == _TRANSFER_CHECKED
    if not checked and data[0] != _TRANSFER:
        return None
    at = 2 if data[:2] == _WITH_FEE else 1
    ends = (call.accounts[0], call.accounts[2]) if checked else call.accounts[:2]
    mint = next((record.mints[place] for place in ends if place in record.mints), b"")
    if not mint and checked and call.accounts[1] < len(record.keys):
        mint = record.keys[call.accounts[1]]
    to = call.accounts[2 if checked else 1]
    return _Transfer(int.from_bytes(data[at : at + 8], "little"), mint, to)
