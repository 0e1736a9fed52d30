"""Exact integer arithmetic of automated market makers. What each is compared with: docs/venues.md.

- :mod:`.concentrated`: Whirlpool, Raydium CLMM, Uniswap v3 and v4
- :mod:`.pairs`: Uniswap v2, Raydium v4 and CPMM
- :mod:`.stable`: Curve, its metapools and tricrypto, Saber, Aerodrome's stable pools
- :mod:`.weighted`: Balancer v2
- :mod:`.bins`: Meteora DLMM
- :mod:`.inverse`, :mod:`.least_input`: exact output where a program has none
"""
