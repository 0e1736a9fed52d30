"""What the detector reads of a row by name is what the messages have; a wrong name showed only when it was run."""

from typing import get_type_hints

import numpy as np
import pytest

from mevflow.bench.columns import complete
from mevflow.bench.market import SyntheticMarket
from mevflow.operators.detect import told
from mevflow.v1 import market_pb2 as market


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (told.TickTold, market.TickLiquidity),
        (told.CoinTold, market.StableCoin),
        (told.CurveTold, market.StableCurve),
        (told.BinTold, market.Bin),
        (told.BinFeesTold, market.BinFees),
    ],
)
def test_a_part_is_told_whole(kind, message):
    assert set(get_type_hints(kind)) == {field.name for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize(("kind", "message"), [(told.UpdateTold, market.PoolUpdate), (told.SwapTold, market.Swap)])
def test_a_row_is_told_by_fields_that_its_message_has(kind, message):
    assert set(get_type_hints(kind)) <= {field.name for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_are_told_as_they_stand_in_whatever_order_they_are_asked_for(shuffled):
    batch = SyntheticMarket(pools=200).updates()
    rows = np.random.default_rng(1).permutation(200)[:150]
    asked = rows if not shuffled else np.sort(rows)
    read = told.ToldRows(batch, told.UpdateTold, rows)
    assert [read[row]["pool"] for row in asked.tolist()] == batch.column("pool").take(asked).to_pylist()
    assert set(read[int(rows[0])]) == set(get_type_hints(told.UpdateTold))


def test_a_block_of_large_maps_holds_little_more_than_the_largest(monkeypatch):
    monkeypatch.setattr(told, "_BLOCK", 100)
    batch = SyntheticMarket(pools=40).updates()
    tick = {"tick": 64, "liquidity_net": bytes(16), "liquidity_gross": bytes(16)}
    ticks = [[tick] * (3 if row % 10 else 500) for row in range(40)]
    same = {name: batch.column(name) for name in ("chain", "pool", "kind")}
    read = told.ToldRows(complete({**same, "ticks": ticks}, 40, batch.schema), told.UpdateTold, np.arange(40))
    for row in range(40):
        assert [len(read[row]["ticks"]), read[row]["pool"]] == [len(ticks[row]), batch.column("pool")[row].as_py()]
        assert sum(1 + len(one["ticks"]) for one in read._read) <= 100 + 501
