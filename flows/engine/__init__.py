"""A checked topology on Bytewax.

- :mod:`.compiler`: the ``Dataflow``
- :mod:`.adapters`: our sources, stages and sinks as Bytewax sees them
- :mod:`.meter`: what a running shard says of itself
"""
