"""The shipped start state is what the end of the day and the record say, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.tokens import SOLANA
from mevflow.operators.parse.whirlpool.day import WhirlpoolDay
from mevflow.operators.parse.whirlpool.start import derive_start_state
from mevflow.operators.parse.whirlpool.state import read_start_state, write_start_state
from tests.operators.parse.recordings import START, end_accounts, start_state, whirlpool_lines


def test_the_shipped_state_is_derived_from_the_record() -> None:
    derived = derive_start_state(whirlpool_lines(), end_accounts(), SOLANA)
    # The lines given here leave out empty slots, and with them the first of the day.
    shipped = start_state()
    derived = msgspec.structs.replace(derived, slot=shipped.slot, block_time=shipped.block_time)
    assert write_start_state(derived) == START.read_bytes()


def test_what_remains_inferred() -> None:
    state = start_state()
    assert len(state.pools) == 7
    assert sum(position.inferred for position in state.positions) == 118
    widths = {p.pool: int(p.sqrt_price_high) - int(p.sqrt_price_low) for p in state.pools}
    relative = {p.pool: widths[p.pool] / int(p.sqrt_price) for p in state.pools}
    assert max(relative.values()) < 2e-10
    assert all(int(p.sqrt_price_low) <= int(p.sqrt_price) <= int(p.sqrt_price_high) for p in state.pools)


@pytest.mark.parametrize("end", ["sqrt_price_low", "sqrt_price_high"])
def test_both_ends_of_the_price_intervals_replay_the_day_alike(end: str) -> None:
    pools = [msgspec.structs.replace(p, sqrt_price=getattr(p, end)) for p in start_state().pools]
    day = WhirlpoolDay(msgspec.structs.replace(start_state(), pools=pools))
    for _ in day.parse(whirlpool_lines()):
        pass
    for address, pool in day.pools.items():
        account = end_accounts().pools[address]
        assert pool.figures.exact == pool.figures.swaps
        assert (pool.sqrt_price, pool.liquidity, pool.tick) == (
            account.sqrt_price,
            account.liquidity,
            account.tick,
        )


def test_a_file_survives_reading_and_writing() -> None:
    assert write_start_state(read_start_state(START.read_bytes())) == START.read_bytes()


def test_a_record_that_contradicts_its_end_is_refused() -> None:
    lines = list(whirlpool_lines()[-40:])
    at = next(i for i, line in enumerate(lines) if line.count(b'"name":"swap"') == 1)
    lines[at] = lines[at].replace(b'"transferAmount1":"', b'"transferAmount1":"1')
    with pytest.raises(ParseError, match="explains"):
        derive_start_state(lines, end_accounts(), SOLANA)
