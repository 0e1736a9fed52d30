"""What is known of the pools, and the cycles through them: what the compiled loop reads and writes. From the ground up:

- :mod:`.pools`, :mod:`.curves`: a pool's row; the state of pools with curves (stable-swap, bins) beside it
- :mod:`.lists`, :mod:`.routes`, :mod:`.cycle_index`: lists that grow; max trees over two-leg routes; pool -> cycles
- :mod:`.book`: all of them together
- :mod:`.depth`: active liquidity that follows from what is known of the ticks
- :mod:`.usd_price`, :mod:`.mints`: what mints are worth in dollars; mints by number
- :mod:`.journal`, :mod:`.curve_bytes`: what the last slots changed, so that a fork can be taken back
"""
