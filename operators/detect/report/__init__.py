"""From hits of the compiled loop to rows.

- :mod:`.cycles`: hits -> sized cycles with their legs' exact states
- :mod:`.episodes`: which cycles pay right now, since when
- :mod:`.reporter`, :mod:`.rows`: a row when a cycle begins to pay, changes, and stops
"""
