"""What the detector reads of a row by name is what the messages have; a wrong name showed only when it was run."""

from typing import get_type_hints

import pytest

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
