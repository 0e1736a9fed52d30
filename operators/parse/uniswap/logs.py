"""Raw Uniswap v3 logs, a csv row each, as typed events.

Columns: ``block_number, block_timestamp, transaction_hash, transaction_index, log_index, topics, data``; the
timestamp is UTC, ``topics`` a bracketed list of quoted words, ``data`` hexadecimal. Event layouts: Uniswap/v3-core,
``contracts/interfaces/pool/IUniswapV3PoolEvents.sol``.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mevflow.operators.amm.concentrated.tick_math_x96 import MAX_SQRT_PRICE, MAX_TICK, MIN_SQRT_PRICE, MIN_TICK
from mevflow.operators.parse.errors import ParseError

HEADER = "block_number,block_timestamp,transaction_hash,transaction_index,log_index,topics,data"

SWAP = bytes.fromhex("c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67")
MINT = bytes.fromhex("7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde")
BURN = bytes.fromhex("0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c")
#: Collect: tokens leave, nothing that a swap depends on changes.
COLLECT = bytes.fromhex("70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0")

#: Ordinary events of a pool that change nothing which a swap depends on: a flash loan is paid back within the call, and
#: the protocol's share is of the fee.
FLASH = bytes.fromhex("bdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633")
SET_FEE_PROTOCOL = bytes.fromhex("973d8d92bb299f4af6ce49b52a8adb85ae46b9f214c4c4fc06ac77401237b133")
COLLECT_PROTOCOL = bytes.fromhex("596b573906218d3411850b26a6b437d6c4522fdb43d2d2386263f86d50b8b151")
MORE_OBSERVATIONS = bytes.fromhex("ac49e518f90a358f652e4400164f05a5d8f7e35e7747279bc3a93dbf584e125a")
INITIALIZE = bytes.fromhex("98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95")

_WORD = re.compile(r"0x([0-9a-fA-F]{64})")
_TOPICS = re.compile(r"\['0x[0-9a-fA-F]{64}'(?:, '0x[0-9a-fA-F]{64}'){0,3}\]")
_NUMBER = re.compile(r"[0-9]{1,18}")
_DATA = re.compile(r"0x((?:[0-9a-fA-F]{64})*)")


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a log stands in the chain."""

    block: int
    tx_index: int
    log_index: int
    timestamp_us: int
    transaction: bytes

    @property
    def order(self) -> tuple[int, int, int]:
        """Chain order."""
        return self.block, self.tx_index, self.log_index


@dataclass(frozen=True, slots=True)
class SwapLog:
    """Signed amounts from the pool's view (positive came in), and the pool's state after."""

    at: Coordinates
    sender: bytes
    amount0: int
    amount1: int
    sqrt_price: int
    liquidity: int
    tick: int


@dataclass(frozen=True, slots=True)
class LiquidityLog:
    """A Mint (positive ``delta``) or a Burn, and what it moved."""

    at: Coordinates
    owner: bytes
    lower: int
    upper: int
    delta: int
    amount0: int
    amount1: int


@dataclass(frozen=True, slots=True)
class OtherLog:
    """A log that changes nothing here."""

    at: Coordinates


@dataclass(frozen=True, slots=True)
class InitializeLog:
    """A pool begins, without liquidity."""

    at: Coordinates
    sqrt_price: int
    tick: int


Log = SwapLog | LiquidityLog | InitializeLog | OtherLog
#: Topics and words of the events that change nothing here.
_OTHERS = {
    COLLECT: ("Collect", 4, 3),
    FLASH: ("Flash", 3, 4),
    SET_FEE_PROTOCOL: ("SetFeeProtocol", 1, 4),
    COLLECT_PROTOCOL: ("CollectProtocol", 3, 2),
    MORE_OBSERVATIONS: ("IncreaseObservationCardinalityNext", 1, 2),
}


def read_log(line: str) -> Log:
    """One csv row (not the header). Raises ParseError."""
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as wrong:
        raise ParseError(f"not a csv row: {wrong}") from wrong
    if len(rows) != 1 or len(rows[0]) != 7:
        raise ParseError("a log has seven columns")
    block, time, transaction, tx_index, log_index, topics, data = rows[0]
    at = Coordinates(
        block=_number(block, 63),
        tx_index=_number(tx_index, 32),
        log_index=_number(log_index, 32),
        timestamp_us=_timestamp_us(time),
        transaction=_word(transaction),
    )
    if not _TOPICS.fullmatch(topics):
        raise ParseError("topics are a list of one to four words")
    return _event(at, [bytes.fromhex(word) for word in _WORD.findall(topics)], data)


def _event(at: Coordinates, topics: list[bytes], data: str) -> Log:
    matched = _DATA.fullmatch(data)
    if matched is None:
        raise ParseError("a log's data are whole words in hexadecimal")
    blob = bytes.fromhex(matched[1])
    words = [blob[i : i + 32] for i in range(0, len(blob), 32)]
    kind = topics[0]
    if kind == SWAP:
        _expect("Swap", topics, 3, words, 5)
        price, liquidity, tick = _unsigned(words[2], 160), _unsigned(words[3], 128), _signed(words[4], 24)
        _check_price(price, tick)
        return SwapLog(at, topics[1][12:], _signed(words[0], 256), _signed(words[1], 256), price, liquidity, tick)
    if kind == MINT:
        _expect("Mint", topics, 4, words, 4)
        return _liquidity(at, topics, words[1:], 1)
    if kind == BURN:
        _expect("Burn", topics, 4, words, 3)
        return _liquidity(at, topics, words, -1)
    if kind == INITIALIZE:
        _expect("Initialize", topics, 1, words, 2)
        price, tick = _unsigned(words[0], 160), _signed(words[1], 24)
        _check_price(price, tick)
        return InitializeLog(at, price, tick)
    if kind in _OTHERS:
        name, topic_count, word_count = _OTHERS[kind]
        _expect(name, topics, topic_count, words, word_count)
        return OtherLog(at)
    raise ParseError(f"event 0x{kind.hex()} is not known", reason="unknown_event")


def _liquidity(at: Coordinates, topics: list[bytes], words: list[bytes], sign: int) -> LiquidityLog:
    lower, upper = _signed(topics[2], 24), _signed(topics[3], 24)
    if not MIN_TICK <= lower < upper <= MAX_TICK:
        raise ParseError(f"[{lower}, {upper}) is not a range of ticks")
    size, amount0, amount1 = (_unsigned(word, 128) for word in words[:3])
    return LiquidityLog(at, topics[1][12:], lower, upper, sign * size, amount0, amount1)


def _check_price(price: int, tick: int) -> None:
    if not (MIN_SQRT_PRICE <= price < MAX_SQRT_PRICE and MIN_TICK <= tick <= MAX_TICK):
        raise ParseError(f"price {price} or tick {tick} is outside what a pool can have")


def _expect(name: str, topics: list[bytes], topic_count: int, words: list[bytes], word_count: int) -> None:
    if len(topics) != topic_count or len(words) != word_count:
        raise ParseError(f"a {name} has {topic_count} topics and {word_count} words, not {len(topics)}/{len(words)}")


def _number(text: str, bits: int) -> int:
    if not _NUMBER.fullmatch(text) or (number := int(text)) >= 1 << bits:
        raise ParseError(f"{text[:40]!r} is not a number of {bits} bits")
    return number


def _timestamp_us(text: str) -> int:
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError as wrong:
        raise ParseError(f"{text[:40]!r} is not a time") from wrong
    return int(moment.timestamp()) * 1_000_000


def _word(text: str) -> bytes:
    matched = _WORD.fullmatch(text)
    if matched is None:
        raise ParseError(f"{text[:80]!r} is not 32 bytes in hexadecimal")
    return bytes.fromhex(matched[1])


def _unsigned(word: bytes, bits: int) -> int:
    number = int.from_bytes(word, "big")
    if number >> bits:
        raise ParseError(f"{number} does not fit {bits} bits")
    return number


def _signed(word: bytes, bits: int) -> int:
    number = int.from_bytes(word, "big", signed=True)
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ParseError(f"{number} does not fit {bits} signed bits")
    return number
