"""How exactly a recorded day was replayed, and whether that is good enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mevflow.operators.parse.uniswap.v3 import UniswapDay
from mevflow.operators.parse.whirlpool.accounts import Accounts
from mevflow.operators.parse.whirlpool.day import WhirlpoolDay

#: The share of swaps whose output must be predicted to the unit.
BAR = 0.99
#: A pool with at least this share of the day's swaps is busy: its end state must be exact.
BUSY = 0.01


@dataclass(frozen=True, slots=True)
class PoolCheck:
    """One pool's figures. ``end_state_exact`` is None where no end state is recorded."""

    pool: str
    swaps: int
    exact: int
    end_state_exact: bool | None


@dataclass(frozen=True, slots=True)
class DayCheck:
    """A whole day's figures. ``first`` swaps had nothing before them to be checked against."""

    swaps: int
    exact: int
    reanchored: int
    pools: list[PoolCheck]
    first: int = 0

    @property
    def passed(self) -> bool:
        """Whether enough swaps were exact and no busy pool ended elsewhere than recorded."""
        busy = [pool for pool in self.pools if pool.swaps >= BUSY * self.swaps]
        return (
            self.swaps > 0
            and self.exact >= BAR * (self.swaps - self.first)
            and all(pool.end_state_exact is not False for pool in busy)
        )

    def as_dict(self) -> dict[str, object]:
        """The figures as JSON has them."""
        return {name: value for name, value in asdict(self).items() if name != "first"}


def check_whirlpool(day: WhirlpoolDay, end: Accounts | None) -> DayCheck:
    """The figures of a replayed day; price, liquidity, tick and every tick's liquidity against ``end``."""
    pools = []
    for address, pool in day.pools.items():
        same: bool | None = None
        if end is not None:
            account = end.pools.get(address)
            same = (
                account is not None
                and (pool.sqrt_price, pool.liquidity, pool.tick)
                == (account.sqrt_price, account.liquidity, account.tick)
                and list(pool.ticks) == list(end.tick_map(address))
            )
        pools.append(PoolCheck(address, pool.figures.swaps, pool.figures.exact, same))
    pools.sort(key=lambda each: -each.swaps)
    return DayCheck(
        swaps=sum(pool.figures.swaps for pool in day.pools.values()),
        exact=sum(pool.figures.exact for pool in day.pools.values()),
        reanchored=sum(pool.figures.reanchored for pool in day.pools.values()),
        pools=pools,
    )


def check_uniswap(day: UniswapDay) -> DayCheck:
    """The figures of parsed logs. ``exact``: run again, the swap gives the log's amounts, price, liquidity and tick."""
    pools = [
        PoolCheck("0x" + address.hex(), state.figures.swaps, state.figures.exact, None)
        for address, state in day.pools.items()
    ]
    pools.sort(key=lambda each: -each.swaps)
    return DayCheck(
        swaps=sum(pool.swaps for pool in pools),
        exact=sum(pool.exact for pool in pools),
        reanchored=sum(state.figures.reanchored for state in day.pools.values()),
        pools=pools,
        first=sum(state.figures.first for state in day.pools.values()),
    )
