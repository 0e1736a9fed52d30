"""Account snapshots, decoded: the bytes that a program keeps on chain, as frozen dataclasses.

- :mod:`mevflow.operators.accounts.whirlpool`: Orca Whirlpool pools and tick arrays
- :mod:`mevflow.operators.accounts.raydium_clmm`: Raydium CLMM pools, tick arrays, fee configurations
- :mod:`mevflow.operators.accounts.raydium_amm`: Raydium AMM v4 and CPMM pools and fee configurations
- :mod:`mevflow.operators.accounts.dlmm`: Meteora DLMM pairs and bin arrays
- :mod:`mevflow.operators.accounts.registry`: which of them an account is, by its program and first bytes
- :mod:`mevflow.operators.accounts.states`: accounts put together into the state that a quote takes
- :mod:`mevflow.operators.accounts.snapshot`: files of ``pubkey,base64`` lines

:mod:`mevflow.operators.parse.pool_updates` makes ``PoolUpdate`` columns of them. Every decoder raises
:class:`mevflow.operators.accounts.errors.AccountError` (unknown, truncated, value) and nothing else.
"""
