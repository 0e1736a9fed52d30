"""Recorded transactions -> ``Swap`` and ``PoolUpdate`` batches with the pool's state after each.

- :mod:`operators.parse.whirlpool`: Orca Whirlpool instructions, a JSON line a slot
- :mod:`operators.parse.uniswap_v3`: Uniswap v3 logs, a csv row each
- :mod:`operators.parse.whirlpool_start`: where a recorded Whirlpool day began, derived from how it ended
- :mod:`operators.parse.check`: how exactly a day was replayed
- :mod:`operators.parse.errors`: what could not be parsed, as an exception or as rows

``sources.recorded.open_recorded`` opens files and picks the parser.
"""

from operators.parse.errors import OnError, ParseError
from operators.parse.uniswap_v3 import parse_uniswap_day
from operators.parse.whirlpool import parse_whirlpool_day

__all__ = ["OnError", "ParseError", "parse_uniswap_day", "parse_whirlpool_day"]
