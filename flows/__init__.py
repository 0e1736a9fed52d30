"""Topologies: from the file that declares them to shards that run.

- :mod:`.config`, :mod:`.times`: configuration, read once at the edge; times as people write them
- :mod:`.spec`: the topology file, checked against the catalogue of stages
- :mod:`.engine`: a checked topology as a Bytewax dataflow
- :mod:`.steering`: control commands inside a running shard
- :mod:`.runtime`: shards, their supervisor, deploy and stop
- :mod:`.feed`: recorded files into Kafka
- :mod:`.replay`: a topology over a window of history
- :mod:`.backup`: a deployment as a folder, and back
- :mod:`.demo`: the main job on the recorded days, and its report
- :mod:`.dead_letters`, :mod:`.explain`: what could not be processed; the whole story of one decision
"""
