"""Exact integer arithmetic of automated market makers.

- :mod:`operators.amm.concentrated`: the state of a concentrated-liquidity pool and what a swap does to it
- :mod:`operators.amm.whirlpool`: Orca Whirlpool (Q64.64), bit for bit as the program rounds
- :mod:`operators.amm.uniswap_v3`: Uniswap v3 (Q64.96), bit for bit as the contract rounds
- :mod:`operators.amm.tick_math_x64`, :mod:`operators.amm.tick_math_x96`: ticks to square-root prices and back
"""
