"""Off-policy evaluation that refuses.

- :mod:`.log`: logged decisions with their rewards, and a target policy's chances for them
- :mod:`.estimators`: IPS, clipped, SNIPS, DM, DR, Switch-DR, DRos; :mod:`.rewards`: the cross-fitted reward model
- :mod:`.sequences`: intervals that hold however often one looks
- :mod:`.gate`: whether the log can answer at all
- :mod:`.targets`: target policies, run on the same record
- :mod:`.report`: all of it, for one target; :mod:`.stored`: the log in ClickHouse
"""
