"""Uniswap logs.

- :mod:`.logs`, :mod:`.v3`: raw v3 logs as typed events; events -> messages
- :mod:`.v2_logs`: raw v2 logs -> messages
- :mod:`.pools`: the pools of the recorded days
- :mod:`.segments`, :mod:`.explain`: what is known of liquidity when a pool's tick map was never recorded
"""
