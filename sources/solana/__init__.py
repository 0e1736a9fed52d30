"""Solana transactions as swaps and pool updates.

- :mod:`.files`: recorded answers of nodes, a transaction or a block a line
"""
