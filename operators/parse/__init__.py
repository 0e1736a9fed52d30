"""Recorded transactions -> ``Swap`` and ``PoolUpdate`` batches with the pool's state after each.

- :mod:`mevflow.operators.parse.whirlpool.day`: Orca Whirlpool instructions, a JSON line a slot
- :mod:`mevflow.operators.parse.uniswap.v3`: Uniswap v3 logs, a csv row each
- :mod:`mevflow.operators.parse.whirlpool.start`: where a recorded Whirlpool day began, derived from how it ended
- :mod:`mevflow.operators.parse.pool_updates`: accounts as ``PoolUpdate`` columns
- :mod:`mevflow.operators.parse.check`: how exactly a day was replayed
- :mod:`mevflow.operators.parse.errors`: what could not be parsed, as an exception or as rows

``mevflow.sources.recorded.open_recorded`` opens files and picks the parser.
"""

from mevflow.operators.parse.errors import OnError, ParseError
from mevflow.operators.parse.uniswap.v3 import parse_uniswap_day
from mevflow.operators.parse.whirlpool.day import parse_whirlpool_day

__all__ = ["OnError", "ParseError", "parse_uniswap_day", "parse_whirlpool_day"]
