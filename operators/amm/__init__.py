"""Exact integer arithmetic of automated market makers. What each is compared with: docs/venues.md.

Concentrated liquidity

- :mod:`operators.amm.concentrated`: the state of a concentrated-liquidity pool and what a swap does to it
- :mod:`operators.amm.whirlpool`: Orca Whirlpool (Q64.64), bit for bit as the program rounds
- :mod:`operators.amm.whirlpool_program`: the same as a venue, failing where the program's 64 bits fail
- :mod:`operators.amm.whirlpool_quoter`: Orca's off-chain quoter, which differs from the program
- :mod:`operators.amm.raydium_clmm`: Raydium CLMM (Q64.64)
- :mod:`operators.amm.uniswap_v3`: Uniswap v3 (Q64.96), bit for bit as the contract rounds
- :mod:`operators.amm.uniswap_v3_venue`, :mod:`operators.amm.uniswap_v4`: v3 as a venue, v4 without hooks
- :mod:`operators.amm.tick_math_x64`, :mod:`operators.amm.tick_math_x96`, :mod:`operators.amm.tick_math_raydium`:
  ticks to square-root prices and back

Two reserves

- :mod:`operators.amm.two_reserves`: what pairs share
- :mod:`operators.amm.uniswap_v2`, :mod:`operators.amm.raydium_v4`, :mod:`operators.amm.raydium_cpmm`

Stable and crypto curves

- :mod:`operators.amm.stable_math`, :mod:`operators.amm.stable_swap`, :mod:`operators.amm.stable_meta`: Curve
- :mod:`operators.amm.crypto_math`, :mod:`operators.amm.tricrypto`: Curve tricrypto
- :mod:`operators.amm.saber`: Saber
- :mod:`operators.amm.least_input`: exact output where a program has none

Bins

- :mod:`operators.amm.dlmm_math`, :mod:`operators.amm.dlmm`: Meteora DLMM
"""
