"""Pools of weighted products (Balancer v2).

- :mod:`mevflow.operators.amm.weighted.log_exp`: powers of fixed-point numbers, as the contracts approximate them
- :mod:`mevflow.operators.amm.weighted.pool`: the pool
"""
