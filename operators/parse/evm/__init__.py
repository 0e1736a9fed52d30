"""EVM logs, a column at a time: as nodes give them, or as files hold them. In the order that a log takes:

- :mod:`.json_file`, :mod:`.plain_json`: files of JSON; plain logs straight to columns
- :mod:`.logs`: JSON objects as columns of bytes
- :mod:`.events`, :mod:`.words`: which event a log is; words of the ABI as raw amounts
- :mod:`.pools`: immutables of pools by address
- :mod:`.parse`: logs of known pools -> ``Swap`` and ``PoolUpdate`` batches
- :mod:`.pairs`, :mod:`.concentrated`: Uniswap v2 and v3, and forks that log alike
- :mod:`.singleton`, :mod:`.vault`: Uniswap v4; weighted pools of Balancer v2
- :mod:`.lending`: liquidations by lending markets
- :mod:`.managers`: what factories and fee modules say of their pools
- :mod:`.parsed`, :mod:`.batches`: rows gathered in chain order, whole batches
"""
