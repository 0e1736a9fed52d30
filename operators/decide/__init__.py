"""The decision stage.

stage.py      ports, snapshot, control: the stage itself
settings.py   what it can be told
market.py     one chain: which rows, bids in flight, settlement
bids.py       what it keeps of a decision
learner.py    who decides there: the policy, what it is taught, what it goes back to
verdict.py    what became of a bid
rows.py       a batch as plain values; what makes a row bad
features.py   contexts for the policy
eligible.py   which arms a row leaves something for
scores.py     what models say, as features
swaplog.py    who ended a cycle
emit.py       output columns
control.py    policy, kill and release commands

The policies are in ``operators/learn``, the landing rule in ``operators/outcomes.py``.
"""
