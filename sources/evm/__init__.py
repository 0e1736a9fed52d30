"""``evm.source``: an EVM chain as swaps and pool updates, from nodes over JSON-RPC. From the wire inwards:

- :mod:`.rpc`, :mod:`.nodes`: one node; several as one, with fail-over
- :mod:`.blocks`, :mod:`.bloom`: blocks and their logs, as far as a node can be believed
- :mod:`.follow`: the chain block by block, forks told by parents
- :mod:`.contracts`, :mod:`.state`: reading contracts; the whole state of pools
- :mod:`.factories`, :mod:`.discover`, :mod:`.finder`: which addresses are pools
- :mod:`.fees`: fees that other contracts say
- :mod:`.singleton`: Uniswap v4, one contract for all pools
- :mod:`.curve`, :mod:`.balancer`: Curve's stable-swap pools, Balancer's weighted ones
- :mod:`.stated`: rows that state pools whole
- :mod:`.collect`: blocks -> rows
- :mod:`.source`: the source
"""
