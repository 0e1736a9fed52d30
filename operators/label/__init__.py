"""What a transaction was: realised arbitrages and sandwiches, found in swaps.

- :mod:`mevflow.operators.label.stage`: ``label``, the stage
- :mod:`mevflow.operators.label.arbitrage`: closed token cycles within one transaction
- :mod:`mevflow.operators.label.sandwich`: front-run, victims and back-run on one pool within one block
- :mod:`mevflow.operators.label.find`: both, over the swaps of one block
- :mod:`mevflow.operators.label.trade`: a swap as the rules see it
- :mod:`mevflow.operators.label.slots`, :mod:`mevflow.operators.label.candidates`: from rows in any order to the swaps
of whole blocks
- :mod:`mevflow.operators.label.rows`: ``mevflow.v1.Label`` rows
- :mod:`mevflow.operators.label.mev_inspect`: files of swaps as mev-inspect-py writes them
- :mod:`mevflow.operators.label.settings`: what can be set, and what the defaults rest on
"""
