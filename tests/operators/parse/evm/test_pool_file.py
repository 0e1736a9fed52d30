"""Pool files of every kind of pool: what each must say, and what its logs then are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mevflow.operators.errors import UsageError
from mevflow.operators.parse.evm.pool_file import read_pool_file
from mevflow.operators.parse.evm.pools import SLIPSTREAM, STABLE, V4, VOLATILE

ADDRESS, FACTORY, ID = "0x" + "a1" * 20, "0x" + "fa" * 20, "0x" + "1d" * 32
TOKENS = {"token0": "0x" + "00" * 20, "token1": "0x" + "22" * 20}


def read(folder: Path, **entry: Any) -> Any:
    path = folder / "pools.csv"
    row = {"address": ADDRESS, **TOKENS, **entry}
    path.write_text("\n".join([",".join(row), ",".join(map(str, row.values()))]))
    return read_pool_file(path).table


@pytest.mark.parametrize(
    ("entry", "venue"),
    [
        ({"kind": "volatile", "factory": FACTORY}, VOLATILE),
        ({"kind": "stable", "factory": FACTORY, "decimals0": 6, "decimals1": 18}, STABLE),
        ({"kind": "slipstream", "factory": FACTORY, "tick_spacing": 100, "fee_pips": 500}, SLIPSTREAM),
        ({"kind": "v4", "address": ID, "factory": FACTORY, "tick_spacing": 60, "fee_pips": 3000}, V4),
    ],
)
def test_a_pool_whose_fee_another_contract_says_names_it(tmp_path: Path, entry: dict[str, Any], venue: int) -> None:
    table = read(tmp_path, **entry)
    (pool,) = table.pools
    assert (pool.venue, "0x" + pool.factory.hex()) == (venue, FACTORY)
    assert "0x" + pool.address.hex() == entry.get("address", ADDRESS)
    speakers = table.singletons if venue == V4 else table.managed
    assert speakers == {pool.factory: [0]}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "pairs"}, "fee_pips"),
        ({"kind": "stable"}, "decimals"),
        ({"kind": "slipstream"}, "tick_spacing"),
        ({"kind": "slipstream", "tick_spacing": 100}, "fee_pips"),
        ({"kind": "v4", "factory": FACTORY, "tick_spacing": 60}, "its id"),
        ({"kind": "pairs", "fee_pips": 3000, "address": ID}, "its id"),
        ({"kind": "v4", "address": ID, "tick_spacing": 60}, "pool manager"),
        ({"kind": "volatile", "factory": "0x12"}, "40 digits"),
    ],
)
def test_what_is_lacking_is_said(tmp_path: Path, entry: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(tmp_path, **entry)


def test_a_stated_fee_is_told_where_no_log_shows_one(tmp_path: Path) -> None:
    """Swaps of two reserves show what they paid, Slipstream's do not."""
    module = "0x" + "ad" * 20
    table = read(tmp_path, kind="slipstream", factory=FACTORY, fee_module=module, tick_spacing=100, fee_pips=500)
    assert table.columns(np.zeros(1, np.int64))["fee_pips"].to_pylist() == [500]
    assert {"0x" + one.hex() for one in table.managed} == {FACTORY, module}
    table = read(tmp_path, kind="volatile", factory=FACTORY, fee_pips=500)
    assert table.columns(np.zeros(1, np.int64))["fee_pips"].to_pylist() == [0]
