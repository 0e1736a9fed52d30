"""Where batches come from.

- :mod:`.source`: the contract of a source
- :mod:`.recorded`: recorded files of raw transactions, opened by what is in them
- :mod:`.kafka`: ``kafka.source``
"""
