"""Concentrated liquidity.

- :mod:`.curve`: the state of a pool and what a swap does to it
- :mod:`.whirlpool`: Orca Whirlpool (Q64.64), bit for bit as the program rounds
- :mod:`.whirlpool_program`: the same as a venue, failing where the program's 64 bits fail
- :mod:`.whirlpool_quoter`: Orca's off-chain quoter, which differs from the program
- :mod:`.raydium_clmm`: Raydium CLMM (Q64.64)
- :mod:`.uniswap_v3`, :mod:`.uniswap_v3_venue`: Uniswap v3 (Q64.96), bit for bit as the contract rounds, and as a venue
- :mod:`.uniswap_v4`: v4 without hooks
- :mod:`.tick_map`, :mod:`.tick_math_x64`, :mod:`.tick_math_x96`, :mod:`.tick_math_raydium`: ticks and their prices
- :mod:`.venue`: what the venues share
"""
