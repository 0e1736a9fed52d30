"""Pure columnar stages and the maths below them: Arrow and numpy in and out; no engine, broker, socket or clock.

- :mod:`.stage`: the contract of a stage
- :mod:`.codec`, :mod:`.decode`, :mod:`.merge`: protobuf as Arrow; inputs as one stretch of chain order
- :mod:`.parse`, :mod:`.accounts`: raw transactions and accounts as swaps and pool updates
- :mod:`.amm`: exact venue arithmetic
- :mod:`.detect`, :mod:`.sizing`: cycles that pay, and how much to put into them
- :mod:`.learn`, :mod:`.decide`: bandits, decisions
- :mod:`.outcomes`, :mod:`.lineage`: what became of a bid, where a decision came from
- :mod:`.label`: what transactions were
- :mod:`.realtime`: any row as a live message
- :mod:`.ids`, :mod:`.amounts`, :mod:`.errors`, :mod:`.switch`: what all of them share
"""
