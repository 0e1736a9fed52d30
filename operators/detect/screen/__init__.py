"""The compiled loop over events. In the order that it calls:

- :mod:`.events`: a stretch of merged rows as the kernel reads it
- :mod:`.runner`: room for hits, which grows as it is needed
- :mod:`.kernel`: update the pool, take its price, screen the cycles through it
- :mod:`.rates`: log rates net of fee
- :mod:`.cycles`: which cycles through a pool have a log rate above zero
"""
