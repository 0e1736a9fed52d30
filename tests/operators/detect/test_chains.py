"""Several chains in one stream: each as if it were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mevflow.sources.recorded import open_recorded
from mevflow.v1 import market_pb2 as market
from tests.operators.detect.feeding import UNISWAP_DAY, WHIRLPOOL_DAY, items, make, run, unsigned
from tests.operators.detect.market_messages import batch, pair_market
from tests.operators.detect.random_market import RandomMarket


def by_chain(table: pa.Table, chain: int) -> list[dict[str, Any]]:
    return table.filter(pc.equal(table.column("chain"), chain)).to_pylist()


def test_both_recorded_days_in_one_stream_give_what_each_gives() -> None:
    settings = {"costs": {"ethereum": {"base_fee_wei": 15 * 10**9}}}
    solana, ethereum = items(open_recorded(*WHIRLPOOL_DAY)), items(open_recorded(*UNISWAP_DAY))
    # Batches of the two in turns; nothing is released before all is there.
    longer, shorter = sorted((solana, ethereum), key=len, reverse=True)
    mixed = [item for pair in zip(longer, shorter, strict=False) for item in pair] + longer[len(shorter) :]
    together = run(make(**settings), mixed)
    for chain, alone in ((market.CHAIN_SOLANA, solana), (market.CHAIN_ETHEREUM, ethereum)):
        for port, table in run(make(**settings), alone).items():
            assert by_chain(together[port], chain) == table.to_pylist(), port


def test_the_same_addresses_on_two_chains_are_two_markets() -> None:
    """Pools that pay on one chain, the other a copy of the first pool only."""
    rows = pair_market()
    copies = [rows[0], rows[2]]
    for row in copies:
        row = market.Swap.FromString(row.SerializeToString())
        row.chain = market.CHAIN_ETHEREUM
        rows.append(row)
    found = run(make(), items([batch(*rows)]))["opportunities"].to_pylist()
    assert found
    assert {row["chain"] for row in found} == {market.CHAIN_SOLANA}
    assert found == run(make(), items([batch(*pair_market())]))["opportunities"].to_pylist()


def test_a_chain_that_nobody_named_is_a_market_with_costs_of_its_own(tmp_path: Path) -> None:
    """The native token's worth, by which costs are told, is that of the row's chain."""
    weth, usd = bytes.fromhex("4200000000000000000000000000000000000006"), b"u" * 20
    registry = tmp_path / "tokens.yaml"
    registry.write_text(f'tokens: [{{chain: base, mint: "0x{usd.hex()}", symbol: USD, decimals: 6, role: numeraire}}]')
    rows = []
    for chain in (8453, 31337):
        for row in pair_market():
            row.chain, row.mint_in, row.mint_out = chain, weth, usd
            rows.append(row)
    stage = make(registry=str(registry), costs={"evm": {"base": {"base_fee_wei": 3}}}, min_profit_usd=0)
    found = run(stage, items([batch(*rows)]))["opportunities"].to_pylist()
    assert {row["chain"] for row in found} == {8453, 31337}
    opened = [row for row in found if not row["closed"]]
    assert all(unsigned(row["cost"]) > 0 for row in opened if row["chain"] == 8453)
    assert {row["cost"] for row in opened if row["chain"] == 31337} == {b""}, "nobody said what that chain takes"
    assert {row["cost"] for row in found if row["closed"]} == {bytes(16)}


def test_a_snapshot_may_fall_while_more_is_open_than_64_bits_hold() -> None:
    """The best trade of the Uniswap day takes 381 WETH, 3.8e20 wei, through an episode that is open."""
    feed = items(open_recorded(*UNISWAP_DAY))
    whole = run(make(), feed)["opportunities"]
    best = max(whole.to_pylist(), key=lambda row: row["gross_profit_usd"])
    assert max(unsigned(leg["amount_out"]) for leg in best["legs"]) >= 1 << 64
    early: list[tuple[str, Any]] = []
    for port, item in feed:
        slot = item.column("slot")
        same = pc.and_(pc.equal(slot, best["slot"]), pc.less_equal(item.column("ix_index"), best["ix_index"]))
        early.append((port, item.filter(pc.or_(pc.less(slot, best["slot"]), same))))
    before, after = make(), make()
    run(before, early)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()


def test_a_random_market_beside_itself_on_another_chain() -> None:
    tables = RandomMarket(4, pools=6, events=60).batches()
    feed = items(tables)
    alone = run(make(), feed)["opportunities"]
    moved = []
    for port, item in feed:
        chains = pa.array([market.CHAIN_ETHEREUM] * item.num_rows, item.schema.field("chain").type)
        moved.append((port, item.set_column(item.schema.get_field_index("chain"), item.schema.field("chain"), chains)))
    both = run(make(), [*moved, *feed])["opportunities"]
    assert by_chain(both, market.CHAIN_SOLANA) == alone.to_pylist()
