"""Where batches come from.

- :mod:`.source`: the contract of a source
- :mod:`.recorded`: recorded files of raw transactions, opened by what is in them
- :mod:`.files`: what readers of files have in common
- :mod:`.evm`, :mod:`.solana`: chains from their nodes, and files of what nodes answered
- :mod:`.followed`: what sources that follow a chain have in common
- :mod:`.kafka`: ``kafka.source``
"""
