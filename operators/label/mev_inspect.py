"""Swaps as mev-inspect-py writes them: a JSON object a line, with trace addresses and the accounts at both ends.

Swaps whose ``error`` is set were undone by the chain. Nothing moved, so they are counted and left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mevflow.operators.label.trade import Trade
from mevflow.operators.parse.errors import ParseError

#: What only such a line has; tells the format by its first line.
MARK = b'"trace_address"'


@dataclass(slots=True)
class MevInspectSwaps:
    """A file's swaps by block number. ``hashes[block]`` are the transactions' hashes by their position."""

    blocks: dict[int, list[Trade]] = field(default_factory=lambda: defaultdict(list))
    hashes: dict[int, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    swaps: int = 0
    undone: int = 0


def read_mev_inspect(lines: Iterable[bytes], file: str = "") -> MevInspectSwaps:
    """Read all lines. Raises ParseError with file and line for one that is no swap."""
    out = MevInspectSwaps()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            _read(json.loads(line), out)
        except (ValueError, KeyError, TypeError) as wrong:
            raise ParseError(
                f"no swap of mev-inspect: {type(wrong).__name__} {wrong}",
                hint="an object with block_number, transaction_hash, transaction_position, trace_address, "
                "contract_address, from_address, to_address and token_{in,out}_{address,amount}",
                file=file,
                line=number,
                payload=line,
            ) from wrong
    return out


def _read(swap: Any, out: MevInspectSwaps) -> None:
    block, position = _count(swap["block_number"]), _count(swap["transaction_position"])
    trade = Trade(
        tx_index=position,
        place=tuple(_count(step) for step in swap["trace_address"]),
        pool=_hex(swap["contract_address"]),
        token_in=_hex(swap["token_in_address"]),
        token_out=_hex(swap["token_out_address"]),
        amount_in=_count(swap["token_in_amount"]),
        amount_out=_count(swap["token_out_amount"]),
        payer=_hex(swap["from_address"]),
        recipient=_hex(swap["to_address"]),
    )
    transaction = _hex(swap["transaction_hash"])
    if out.hashes[block].setdefault(position, transaction) != transaction:
        raise ValueError(f"position {position} of block {block} has two transactions")
    out.swaps += 1
    if swap.get("error") is not None:
        out.undone += 1
    else:
        out.blocks[block].append(trade)


def _count(value: Any) -> int:
    """A whole number from 0 on; amounts may be decimal text."""
    number = int(value) if isinstance(value, str) else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{value!r} is no whole number from 0 on")
    return number


def _hex(value: Any) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{value!r} is no 0x-hex")
    return bytes.fromhex(value[2:])
