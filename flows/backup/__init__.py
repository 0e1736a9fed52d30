"""A backup: all that a deployment would need to go on elsewhere, of one moment.

- :mod:`.manifest`: what a backup holds, and whether it still holds it
- :mod:`.project`: the files that belong to a deployment
- :mod:`.standstill`: nothing changes while a backup is made
- :mod:`.tables`: ClickHouse tables as files, and back
- :mod:`.take`, :mod:`.restore`: make one; make a deployment of one
"""
