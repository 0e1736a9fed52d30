"""Solana transactions to ``Swap`` and ``PoolUpdate`` rows. In the order that a transaction takes:

- :mod:`.records`: any recorded form -> calls, account keys, mints
- :mod:`.trace`, :mod:`.logs`: calls in the order they ran, with what each logged
- :mod:`.instructions`: which instruction of a venue's program is which
- :mod:`.events`, :mod:`.swaps`: swap events, and the rows they become
- :mod:`.update_calls`, :mod:`.update_events`, :mod:`.dlmm_calls`, :mod:`.updates`: everything else that changes a pool
"""
