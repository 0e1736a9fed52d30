"""All pools as they stand.

- :mod:`.market`: the pools, and what an event does to them
- :mod:`.validate`, :mod:`.apply`: what an update must be, and what it changes
- :mod:`.mints`, :mod:`.ticks`: mints by number, tick maps
- :mod:`.curve`: pools with curves (stable-swap, bins), which live beside the compiled loop
- :mod:`.journal`: what the last slots changed, so that a fork can be taken back
- :mod:`.snapshot`: the market in a snapshot
"""
