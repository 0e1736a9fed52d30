"""Solana transactions as swaps and pool updates. From a node, from the wire inwards:

- :mod:`.stream`: one ``Subscribe`` call of a Geyser plug-in (Yellowstone); :mod:`.blocks`: blocks by JSON-RPC
- :mod:`.slots`: the chain of slots, put together from pieces, and its forks; :mod:`.fill`: what a stream did not give
- :mod:`.state`, :mod:`.derived`: pools from their accounts, and the addresses of what belongs to them
- :mod:`.follow`: one stream after another; :mod:`.source`: ``yellowstone.source``
- :mod:`.check`: what an endpoint can do

From files:

- :mod:`.files`: recorded answers of nodes, a transaction or a block a line
"""
