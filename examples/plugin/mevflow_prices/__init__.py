"""A sample plug-in of mevflow, to copy: a source, a stage and a sink, a file each.

- :mod:`.rows`: the columns that travel between them
- :mod:`.source`: ``prices.csv``
- :mod:`.stage`: ``prices.changes``
- :mod:`.sink`: ``prices.lines``
"""
