"""A topology over a window of history: same code, own state, own run id, a defined end.

- :mod:`.plan`: the window as offsets, the run's settings and state, its results
- :mod:`.times`: times as people write them
"""
