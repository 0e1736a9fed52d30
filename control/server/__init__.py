"""The service: what a call passes, from the door inwards.

- :mod:`.process`: ``mevflow control serve``
- :mod:`.grpc_door`: ``mevflow.v1.Control``, health and reflection on grpc.aio
- :mod:`.dispatch`: who calls, how often, whether they may; for every carrier
- :mod:`.timings`: how long calls took
- :mod:`.handlers`, :mod:`.topologies`: the calls themselves
- :mod:`.service`: what it reads, knows and writes
"""
