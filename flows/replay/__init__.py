"""A topology over a window of history: same code, own state, own run id, a defined end.

- :mod:`.plan`, :mod:`.slots`: the window as offsets, the run's settings and state, its results
- :mod:`.history`: what steered the live run
- :mod:`.jobs`: replays in the background
- :mod:`.diff`, :mod:`.golden`: two runs held against each other; the recorded days' results as hashes

What of a topology runs over a window is said in :mod:`mevflow.flows.runtime.window`.
"""
