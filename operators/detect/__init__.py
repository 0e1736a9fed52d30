"""``arbitrage.detect``: after every event, in chain order, which cycles pay. In the order that an event takes:

- :mod:`.stage`, :mod:`.settings`, :mod:`.control`: the stage, what it can be told, what it can be told while running
- :mod:`.events`, :mod:`.columns`: a stretch of merged rows as the kernel reads it
- :mod:`.market`: all pools as they stand, and what an event does to them
- :mod:`.screen`: the compiled loop: prices, and which cycles have a log rate above zero
- :mod:`.report`: survivors sized, re-quoted, and written as rows

How cycles are sized is a library of its own: :mod:`mevflow.operators.sizing`.
"""
