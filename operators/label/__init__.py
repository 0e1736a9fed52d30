"""What a transaction was: realised arbitrages and sandwiches, found in swaps.

- :mod:`operators.label.stage`: ``label``, the stage
- :mod:`operators.label.arbitrage`: closed token cycles within one transaction
- :mod:`operators.label.sandwich`: front-run, victims and back-run on one pool within one block
- :mod:`operators.label.find`: both, over the swaps of one block
- :mod:`operators.label.trade`: a swap as the rules see it
- :mod:`operators.label.slots`, :mod:`operators.label.candidates`: from rows in any order to the swaps of whole blocks
- :mod:`operators.label.rows`: ``mevflow.v1.Label`` rows
- :mod:`operators.label.mev_inspect`: files of swaps as mev-inspect-py writes them
- :mod:`operators.label.settings`: what can be set, and what the defaults rest on
"""
