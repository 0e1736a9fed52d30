"""Every event of a Uniswap v3 pool is read: those that move no swap are passed over, ``Initialize`` begins the pool."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mevflow.cli import main
from mevflow.operators.amm.concentrated.tick_math_x96 import price_at
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.uniswap import logs as uniswap_logs
from mevflow.operators.parse.uniswap.logs import InitializeLog, OtherLog, read_log
from mevflow.operators.parse.uniswap.pools import POOLS
from mevflow.operators.parse.uniswap.v3 import CsvRow, UniswapDay
from mevflow.v1 import market_pb2 as market

FLASH_FILE = Path(__file__).parents[3] / "data" / "faults" / "flash-0x88e6a0c2.csv.gz"
SILENT = {
    "Flash": (uniswap_logs.FLASH, 3, 4),
    "SetFeeProtocol": (uniswap_logs.SET_FEE_PROTOCOL, 1, 4),
    "CollectProtocol": (uniswap_logs.COLLECT_PROTOCOL, 3, 2),
    "IncreaseObservationCardinalityNext": (uniswap_logs.MORE_OBSERVATIONS, 1, 2),
    "Collect": (uniswap_logs.COLLECT, 4, 3),
}


def line(topic: bytes, topics: int, *words: int) -> str:
    listed = ", ".join(f"'0x{each.hex()}'" for each in (topic, *[bytes(32)] * (topics - 1)))
    data = b"".join(word.to_bytes(32, "big", signed=word < 0) for word in words).hex()
    return f'18937389,2024-01-05 00:01:47,0x{"1" * 64},77,95,"[{listed}]",0x{data}'


@pytest.mark.parametrize("name", SILENT)
def test_an_event_that_moves_no_swap(name: str) -> None:
    topic, topics, words = SILENT[name]
    assert isinstance(read_log(line(topic, topics, *range(words))), OtherLog)
    with pytest.raises(ParseError):
        read_log(line(topic, topics, *range(words + 1)))


def test_initialize_begins_a_pool_without_liquidity() -> None:
    text = line(uniswap_logs.INITIALIZE, 1, price_at(-120), -120)
    assert read_log(text) == InitializeLog(read_log(text).at, price_at(-120), -120)
    ((row,),) = (batch.to_pylist() for batch in UniswapDay().parse([CsvRow(POOLS[0], "f", 1, text)]))
    assert (row["kind"], row["tick"], row["pool"]) == (market.PoolUpdate.KIND_CREATE, -120, POOLS[0].address)
    assert int.from_bytes(row["sqrt_price_x96"], "little") == price_at(-120)
    assert row["liquidity"] == bytes(16)
    with pytest.raises(ParseError):
        read_log(line(uniswap_logs.INITIALIZE, 1, 1, 0))


def test_a_recording_with_flash_loans_is_replayed_to_its_end() -> None:
    assert b"bdbdb71d7860376b" in gzip.decompress(FLASH_FILE.read_bytes())
    with pytest.raises(SystemExit) as stop:
        main(["parse", "check", "--file", str(FLASH_FILE)])
    assert stop.value.code in (0, None)
