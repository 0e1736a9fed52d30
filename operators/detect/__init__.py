"""``arbitrage.detect``: after every event, in chain order, which cycles pay. In the order that an event takes:

- :mod:`.stage`, :mod:`.settings`, :mod:`.control`: the stage, what it can be told, what it can be told while running
- :mod:`.columns`, :mod:`.told`: the columns of merged rows, and which of their fields a row tells
- :mod:`.admit`: pools and mints of a stretch, named before it is taken
- :mod:`.book`: what is known of the pools, and the cycles through them
- :mod:`.market`: what an event does to them
- :mod:`.screen`: the compiled loop: prices, and which cycles have a log rate above zero
- :mod:`.report`, :mod:`.costs`: survivors sized, re-quoted, and written as rows; what a transaction costs

How cycles are sized is a library of its own: :mod:`mevflow.operators.sizing`.
"""
