"""The recorded Whirlpool day.

- :mod:`.lines`: a JSON line a slot, as typed instructions
- :mod:`.day`: instructions -> ``Swap`` and ``PoolUpdate`` messages
- :mod:`.pool`: one Whirlpool carried forward and checked against what its vaults saw
- :mod:`.state`, :mod:`.start`, :mod:`.accounts`: where the day begins, how that is derived, accounts from bytes
"""
