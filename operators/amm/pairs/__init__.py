"""Two reserves.

- :mod:`.two_reserves`: what pairs share
- :mod:`.uniswap_v2`, :mod:`.raydium_v4`, :mod:`.raydium_cpmm`
"""
