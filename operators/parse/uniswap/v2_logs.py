"""Raw Uniswap v2 logs to ``Swap`` and ``PoolUpdate`` rows, the reserves after each from the pair's own ``Sync``.

Layouts: Uniswap/v2-core, ``contracts/UniswapV2Pair.sol``: a pair logs ``Sync`` (both reserves) right before each
``Swap``, ``Mint`` and ``Burn``. A ``Sync`` that no swap follows is a ``PoolUpdate`` that states the reserves. Forks
log the same: the fee is not in a log and stays unset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from mevflow.operators.amounts import u128
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.output import Output
from mevflow.v1 import market_pb2 as market

SWAP = "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"

_HEX = re.compile(r"0x([0-9a-fA-F]{64})*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_MAX_RESERVE = (1 << 112) - 1
_MAX_AMOUNT = (1 << 128) - 1


class UniswapV2Logs:
    """Gathers rows of blocks; :meth:`flush` gives them as batches, dead letters included.

    Without ``on_error`` a rejected log raises its ParseError (``malformed``, ``no_sync``, ``not_a_swap``).
    """

    def __init__(self, on_error: OnError | None = None) -> None:
        self._output = Output(on_error)

    def flush(self) -> Iterator[pa.RecordBatch]:
        return self._output.flush()

    def add_block(self, document: Mapping[str, Any], file: str = "") -> None:
        """Parse a block with receipts as coinbase/chainstorage writes it (``native_block_N.json``)."""
        try:
            block = int(document["height"])
            when = datetime.fromisoformat(document["timestamp"])
            timestamp_us = int(when.timestamp() * 1_000_000)
            if not 0 <= block < 1 << 63 or timestamp_us < 0:
                raise ValueError(f"block {block}")
            transactions = list(document["ethereum"]["transactions"])
        except (KeyError, TypeError, ValueError, OverflowError) as wrong:
            self._output.reject(ParseError(f"not a block: {type(wrong).__name__} {wrong}"), file, 0, 0)
            return
        for tx_index, transaction in enumerate(transactions):
            try:
                receipt = transaction.get("receipt") or {}
                logs = list(receipt.get("logs") or ())
                signer, signature = _bytes(transaction["from"], _ADDRESS), _bytes(transaction["hash"], _HASH)
            except (AttributeError, KeyError, TypeError, ParseError) as wrong:
                self._output.reject(ParseError(f"not a transaction: {wrong}"), file, tx_index, timestamp_us)
                continue
            base = {
                "chain": market.CHAIN_ETHEREUM,
                "slot": block,
                "tx_index": tx_index,
                "timestamp_us": timestamp_us,
                "signature": signature,
                "signer": signer,
                "venue": market.VENUE_UNISWAP_V2,
            }
            self._logs(logs, base, file, tx_index)

    def _logs(self, logs: list[Any], base: dict[str, Any], file: str, tx_index: int) -> None:
        """One transaction's logs. A pair's ``Sync`` waits for the next log, which may be its ``Swap``."""
        synced: tuple[bytes, int, int, int] | None = None
        for log in logs:
            try:
                topic, pool, index, words = _read(log)
                if topic == SWAP:
                    if synced is None or synced[0] != pool:
                        raise ParseError("a swap without the pair's Sync right before it", reason="no_sync")
                    reserves, synced = synced[2:], None
                    self._swap(words, reserves, {**base, "pool": pool, "ix_index": index})
                    continue
                if synced is not None:
                    self._update(synced, base)
                    synced = None
                if topic == SYNC:
                    if len(words) != 2 or max(words) > _MAX_RESERVE:
                        raise ParseError("a Sync has two words of 112 bits")
                    synced = pool, index, words[0], words[1]
            except ParseError as error:
                self._output.reject(error, file, tx_index, base["timestamp_us"])
        if synced is not None:
            self._update(synced, base)

    def _swap(self, words: list[int], reserves: tuple[int, ...], fields: dict[str, Any]) -> None:
        if len(words) != 4 or max(words) > _MAX_AMOUNT:
            raise ParseError("a Swap has four words of at most 128 bits")
        net_a, net_b = words[0] - words[2], words[1] - words[3]
        if not (net_a > 0 > net_b or net_b > 0 > net_a):
            raise ParseError(f"net amounts {net_a} and {net_b} exchange nothing", reason="not_a_swap")
        a_to_b = net_a > 0
        self._output.swaps.add(
            a_to_b=a_to_b,
            amount_in=u128(net_a if a_to_b else net_b),
            amount_out=u128(-net_b if a_to_b else -net_a),
            reserve_a=u128(reserves[0]),
            reserve_b=u128(reserves[1]),
            **fields,
        )

    def _update(self, synced: tuple[bytes, int, int, int], base: dict[str, Any]) -> None:
        pool, index, reserve_a, reserve_b = synced
        self._output.updates.add(
            pool=pool,
            ix_index=index,
            kind=market.PoolUpdate.KIND_SNAPSHOT,
            reserve_a=u128(reserve_a),
            reserve_b=u128(reserve_b),
            **base,
        )


def _read(log: Any) -> tuple[str, bytes, int, list[int]]:
    """(first topic, pool, log index, data words); words of other logs than v2's are not read. Raises ParseError."""
    try:
        # Blocks are written as protobuf's JSON, which leaves out zeros and empty lists.
        topics = log.get("topics")
        topic = topics[0] if topics else ""
        if topic not in (SWAP, SYNC):
            return "", b"", 0, []
        data, index = log.get("data", "0x"), str(log.get("logIndex", "0"))
        if not _HEX.fullmatch(data) or not _NUMBER.fullmatch(index):
            raise ParseError("data is not whole words, or the index is not a number")
        raw = bytes.fromhex(data[2:])
        words = [int.from_bytes(raw[at : at + 32], "big") for at in range(0, len(raw), 32)]
        return topic, _bytes(log["address"], _ADDRESS), int(index), words
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ParseError(f"not a log: {type(wrong).__name__} {wrong}") from wrong


def _bytes(text: Any, form: re.Pattern[str]) -> bytes:
    if not isinstance(text, str) or not form.fullmatch(text):
        raise ParseError(f"{str(text)[:80]!r} is not hexadecimal of the right length")
    return bytes.fromhex(text[2:])
