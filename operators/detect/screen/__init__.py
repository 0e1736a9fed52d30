"""The compiled loop over events. In the order that it calls:

- :mod:`.runner`: room for hits, which grows as it is needed
- :mod:`.kernel`: update the pool, take its price, screen the cycles through it
- :mod:`.rates`, :mod:`.usd_price`: log rates net of fee; what mints are worth in dollars
- :mod:`.cycles`: which cycles through a pool have a log rate above zero
- :mod:`.cycle_index`, :mod:`.routes`: pool -> cycles; max trees over two-leg routes
- :mod:`.book`, :mod:`.pools`, :mod:`.lists`: the arrays below
"""
