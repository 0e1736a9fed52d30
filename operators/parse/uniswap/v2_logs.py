"""Raw Uniswap v2 logs to ``Swap`` and ``PoolUpdate`` rows, the reserves after each from the pair's own ``Sync``.

Layouts: Uniswap/v2-core, ``contracts/UniswapV2Pair.sol``: a pair logs ``Sync`` (both reserves) right before each
``Swap``, ``Mint`` and ``Burn``. A ``Sync`` that no exchange follows (a flash swap paid back in its own token is none)
is a ``PoolUpdate`` that states the reserves. Tokens and fee are in no log of the pair: see ``uniswap_v2_pools``; what
is not known stays unset. A log with ``removed`` is of a block that the chain has left: a ``KIND_REORG`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from mevflow.operators.amm.pairs.uniswap_v2 import PairState
from mevflow.operators.amounts import u128
from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.output import Output
from mevflow.operators.parse.uniswap.v2_pools import PAIR_CREATED, TRANSFER, Moved, V2Pool, V2Pools
from mevflow.v1 import market_pb2 as market

SWAP = "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"

_HEX = re.compile(r"0x([0-9a-fA-F]{64})*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_MAX_RESERVE = (1 << 112) - 1
_MAX_AMOUNT = (1 << 128) - 1
#: No log of ours has more than four words.
_MOST_DATA = 2 + 64 * 8


class UniswapV2Logs:
    """Gathers rows of blocks; :meth:`flush` gives them as batches, dead letters included.

    Without ``on_error`` a rejected log raises its ParseError (``malformed``, ``no_sync``, ``not_a_swap``, ``removed``).
    ``pools`` are pairs that the caller knows, by address.
    """

    def __init__(self, on_error: OnError | None = None, pools: Mapping[bytes, V2Pool] | None = None) -> None:
        self._output = Output(on_error)
        self._pools = V2Pools.of(pools)

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
        if any(_removed(transaction) for transaction in transactions):
            self._gone_back(block, timestamp_us, file)
        for tx_index, transaction in enumerate(transactions):
            try:
                receipt = transaction.get("receipt") or {}
                logs = [log for log in receipt.get("logs") or () if not _is_removed(log)]
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

    def _gone_back(self, block: int, timestamp_us: int, file: str) -> None:
        """The chain has left this block: rows that were made of it do not hold."""
        self._output.updates.add(
            chain=market.CHAIN_ETHEREUM, slot=block, timestamp_us=timestamp_us, kind=market.PoolUpdate.KIND_REORG
        )
        gone = ParseError(f"the chain has left block {block}: its removed logs are not taken", reason="removed")
        self._output.reject(gone, file, 0, timestamp_us)

    def _logs(self, logs: list[Any], base: dict[str, Any], file: str, tx_index: int) -> None:
        """One transaction's logs. A pair's ``Sync`` waits for the next log, which may be its ``Swap``."""
        synced: _Sync | None = None
        moved: list[Moved] = []
        for log in logs:
            try:
                topics, pool, index, words = _read(log)
                topic = topics[0] if topics else ""
                if topic == TRANSFER:
                    moved += _transfer(topics, pool, words)
                if topic == PAIR_CREATED:
                    self._created(topics, pool, words, {**base, "ix_index": index})
                if topic == SWAP:
                    if synced is None or synced.pool != pool:
                        self._output.updates.add(pool=pool, ix_index=index, **base)  # it was traded, nobody knows how
                        raise ParseError("a swap without the pair's Sync right before it", reason="no_sync")
                    reserves, synced = synced, None
                    self._swap(words, reserves, moved, {**base, "ix_index": index})
                    continue
                if synced is not None:
                    self._update(synced, base)
                    synced = None
                if topic == SYNC:
                    if len(words) != 2 or max(words) > _MAX_RESERVE:
                        raise ParseError("a Sync has two words of 112 bits")
                    synced = _Sync(pool, index, *words)
            except ParseError as error:
                if synced is not None:
                    self._update(synced, base)
                    synced = None
                self._output.reject(error, file, tx_index, base["timestamp_us"])
        if synced is not None:
            self._update(synced, base)

    def _swap(self, words: list[int], synced: _Sync, moved: list[Moved], fields: dict[str, Any]) -> None:
        if len(words) != 4 or max(words) > _MAX_AMOUNT:
            self._update(synced, fields)
            raise ParseError("a Swap has four words of at most 128 bits")
        net_a, net_b = words[0] - words[2], words[1] - words[3]
        if not (net_a > 0 > net_b or net_b > 0 > net_a):
            # Paid back in the token that was taken: nothing was exchanged, and the reserves are what Sync says.
            self._update(synced, fields)
            if not any(words[2:]):
                raise ParseError("a Swap that pays nothing", reason="not_a_swap")
            return
        a_to_b = net_a > 0
        paid, got = (net_a, -net_b) if a_to_b else (net_b, -net_a)
        pool, pools = synced.pool, self._pools
        before = synced.reserve_a - net_a, synced.reserve_b - net_b
        pools.learn_tokens(pool, a_to_b, paid, got, moved)
        if min(before) > 0:
            pools.learn_fee(pool, PairState(*before), a_to_b, paid, got)
        known = pools.get(pool)
        tokens = (known.token0, known.token1) if a_to_b else (known.token1, known.token0)
        self._output.swaps.add(
            pool=pool,
            mint_in=tokens[0],
            mint_out=tokens[1],
            fee_pips=known.fee_pips,
            a_to_b=a_to_b,
            amount_in=u128(paid),
            amount_out=u128(got),
            reserve_a=u128(synced.reserve_a),
            reserve_b=u128(synced.reserve_b),
            **fields,
        )

    def _update(self, synced: _Sync, base: dict[str, Any]) -> None:
        known = self._pools.get(synced.pool)
        told = {
            "pool": synced.pool,
            "ix_index": synced.log_index,
            "kind": market.PoolUpdate.KIND_SNAPSHOT,
            "mint_a": known.token0,
            "mint_b": known.token1,
            "fee_pips": known.fee_pips,
            "reserve_a": u128(synced.reserve_a),
            "reserve_b": u128(synced.reserve_b),
        }
        self._output.updates.add(**{**base, **told})

    def _created(self, topics: list[str], factory: bytes, words: list[int], fields: dict[str, Any]) -> None:
        if len(topics) != 3 or len(words) != 2 or words[0] >> 160:
            raise ParseError("a PairCreated has two tokens, a pair and a number")
        pair, token0, token1 = words[0].to_bytes(20, "big"), _account(topics[1]), _account(topics[2])
        self._pools.created(factory, pair, token0, token1)
        known = self._pools.get(pair)
        self._output.updates.add(
            pool=pair,
            kind=market.PoolUpdate.KIND_CREATE,
            mint_a=known.token0,
            mint_b=known.token1,
            fee_pips=known.fee_pips,
            **fields,
        )


class _Sync(NamedTuple):
    pool: bytes
    log_index: int
    reserve_a: int
    reserve_b: int


def _is_removed(log: Any) -> bool:
    return isinstance(log, Mapping) and log.get("removed") in (True, "true")


def _removed(transaction: Any) -> bool:
    receipt = transaction.get("receipt") if isinstance(transaction, Mapping) else None
    logs = receipt.get("logs") if isinstance(receipt, Mapping) else None
    return isinstance(logs, list) and any(_is_removed(log) for log in logs)


def _transfer(topics: list[str], token: bytes, words: list[int]) -> list[Moved]:
    """An ERC-20 transfer; those of other tokens have other topics."""
    if len(topics) != 3 or len(words) != 1 or words[0] > _MAX_AMOUNT:
        return []
    return [Moved(token, _account(topics[1]), _account(topics[2]), words[0])]


def _account(topic: str) -> bytes:
    return bytes.fromhex(topic[-40:])


def _read(log: Any) -> tuple[list[str], bytes, int, list[int]]:
    """(topics in lower case, address, log index, data words); of other logs nothing is read. Raises ParseError."""
    try:
        # Blocks are written as protobuf's JSON, which leaves out zeros and empty lists.
        topics = [topic.lower() for topic in log.get("topics") or ()]
        if not topics or topics[0] not in (SWAP, SYNC, TRANSFER, PAIR_CREATED):
            return [], b"", 0, []
        ours = topics[0] in (SWAP, SYNC, PAIR_CREATED)
        data, index = log.get("data") or "0x", str(log.get("logIndex", "0"))
        whole = all(_HASH.fullmatch(topic) for topic in topics) and len(topics) <= 4 and len(data) <= _MOST_DATA
        if not whole or not _HEX.fullmatch(data) or not _NUMBER.fullmatch(index):
            if not ours:
                return [], b"", 0, []
            raise ParseError("data is not whole words, or the index is not a number")
        raw = bytes.fromhex(data[2:])
        words = [int.from_bytes(raw[at : at + 32], "big") for at in range(0, len(raw), 32)]
        return topics, _bytes(log["address"], _ADDRESS), int(index), words
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ParseError(f"not a log: {type(wrong).__name__} {wrong}") from wrong


def _bytes(text: Any, form: re.Pattern[str]) -> bytes:
    if not isinstance(text, str) or not form.fullmatch(text):
        raise ParseError(f"{str(text)[:80]!r} is not hexadecimal of the right length")
    return bytes.fromhex(text[2:])
