"""Running topologies: where their files are, one shard's process, the supervisor over shards, deploy and stop.

``layout`` names the files, ``shard`` is the process that runs a dataflow, ``supervisor`` restarts shards that die,
``deploy`` checks everything first and starts a supervisor, ``status`` reads what the shards say of themselves.
"""
