"""What an event does to the pools of the book.

- :mod:`.market`: the pools as they stand, a stretch of events at a time
- :mod:`.validate`, :mod:`.apply`: what an update must be, and what it changes
- :mod:`.ticks`, :mod:`.doubt`: tick maps; pools whose state no row has told
- :mod:`.curve`: pools with curves (stable-swap, bins), which live beside the compiled loop
- :mod:`.snapshot`: the market in a snapshot
"""
