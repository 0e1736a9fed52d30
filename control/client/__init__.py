"""A typed client of the control service.

- :mod:`.client`: ``Control`` blocks, ``AsyncControl`` is awaited
- :mod:`.requests`: requests from plain Python values
"""
