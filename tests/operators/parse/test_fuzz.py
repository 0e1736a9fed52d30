"""Whatever is fed to a parser, it gives batches or its own error, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap.pools import POOLS
from mevflow.operators.parse.uniswap.v3 import CsvRow, parse_uniswap_day
from mevflow.operators.parse.whirlpool.accounts import read_accounts
from mevflow.operators.parse.whirlpool.day import WhirlpoolDay, parse_whirlpool_day
from mevflow.operators.parse.whirlpool.state import read_start_state
from tests.operators.parse.recordings import START, start_state, uniswap_rows, whirlpool_lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
#: Texts that stand where numbers do.
NUMBERS = st.sampled_from(
    ["", "-1", "0", "1", "x", "1e9", "٣", "18446744073709551615", "18446744073709551616", "9" * 39, "9" * 5000]
) | st.integers(0, 1 << 128).map(str)


def mutated(line: bytes, at: int, piece: bytes, length: int) -> bytes:
    at %= len(line)
    return line[:at] + piece + line[at + length :]


def run_whirlpool(lines: list[bytes]) -> None:
    for batch in parse_whirlpool_day(lines, start_state(), on_error=lambda error: None):
        batch.validate(full=True)


@given(line=st.binary(max_size=200))
def test_whirlpool_bytes(line: bytes) -> None:
    run_whirlpool([line])


@given(value=JSON)
def test_whirlpool_json(value: object) -> None:
    run_whirlpool([msgspec.json.encode(value)])


@settings(max_examples=150)
@given(which=st.integers(0, 2_000), at=st.integers(0, 10_000), piece=st.binary(max_size=6), length=st.integers(0, 40))
def test_whirlpool_mutations(which: int, at: int, piece: bytes, length: int) -> None:
    lines = list(whirlpool_lines()[which : which + 3])
    lines[0] = mutated(lines[0], at, piece, length)
    run_whirlpool(lines)


@settings(max_examples=150)
@given(data=st.data(), which=st.integers(0, 2_000))
def test_whirlpool_payloads(data: st.DataObject, which: int) -> None:
    """Structure intact, any value of any payload replaced."""
    slot = msgspec.json.decode(whirlpool_lines()[which])
    for transaction in slot["transactions"]:
        for instruction in transaction["instructions"]:
            key = data.draw(st.sampled_from(sorted(instruction["payload"])))
            instruction["payload"][key] = data.draw(NUMBERS | JSON)
    run_whirlpool([msgspec.json.encode(slot), whirlpool_lines()[which + 1]])


def test_whirlpool_nesting() -> None:
    deep = b'{"slot":128407700,"blockTime":1,"transactions":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    run_whirlpool([deep])


@settings(max_examples=50)
@given(at=st.integers(0, 60_000), piece=st.binary(max_size=4), length=st.integers(0, 20))
def test_start_states(at: int, piece: bytes, length: int) -> None:
    with suppress(ParseError):
        WhirlpoolDay(read_start_state(mutated(START.read_bytes(), at, piece, length)))


@given(document=st.binary(max_size=100) | JSON.map(msgspec.json.encode))
def test_accounts(document: bytes) -> None:
    with suppress(ParseError):
        read_accounts(document)


def run_uniswap(texts: list[str]) -> None:
    rows = [CsvRow(POOLS[1], "f", n, text) for n, text in enumerate(texts)]
    for batch in parse_uniswap_day(rows, lambda error: None):
        batch.validate(full=True)


@given(text=st.text(max_size=200))
def test_uniswap_text(text: str) -> None:
    run_uniswap([text])


@settings(max_examples=150)
@given(which=st.integers(0, 250), at=st.integers(0, 1_000), piece=st.text(max_size=6), length=st.integers(0, 40))
def test_uniswap_mutations(which: int, at: int, piece: str, length: int) -> None:
    texts = [row.text for row in uniswap_rows(1)[which : which + 4]]
    at %= len(texts[1])
    texts[1] = texts[1][:at] + piece + texts[1][at + length :]
    run_uniswap(texts)


@settings(max_examples=150)
@given(words=st.lists(st.binary(min_size=32, max_size=32), min_size=5, max_size=5), which=st.integers(0, 100))
def test_uniswap_words(words: list[bytes], which: int) -> None:
    """Any five words as a Swap's data, between real logs."""
    texts = [row.text for row in uniswap_rows(1)[which : which + 3]]
    head, _, _ = texts[1].rpartition(",0x")
    texts[1] = f"{head},0x{b''.join(words).hex()}"
    run_uniswap(texts)


@settings(max_examples=150)
@given(
    amounts=st.tuples(st.integers(-(1 << 130), 1 << 130), st.integers(-(1 << 130), 1 << 130)),
    price=st.integers(1 << 32, 1 << 161),
    liquidity=st.integers(0, 1 << 128),
    tick=st.integers(-887_272, 887_272),
)
def test_uniswap_swaps_that_never_were(amounts: tuple[int, int], price: int, liquidity: int, tick: int) -> None:
    texts = [row.text for row in uniswap_rows(1)[:3]]
    head, _, _ = texts[1].rpartition(",0x")
    numbers = (*amounts, price, liquidity, tick)
    texts[1] = f"{head},0x{''.join((n % (1 << 256)).to_bytes(32, 'big').hex() for n in numbers)}"
    run_uniswap(texts)
