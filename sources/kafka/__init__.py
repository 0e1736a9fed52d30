"""``kafka.source``: a topic's partitions as columnar batches. In the order that a message takes:

- :mod:`.settings`: what it can be told
- :mod:`.librdkafka`: librdkafka's consumer by ctypes
- :mod:`.gather`: message pointers -> columns, compiled
- :mod:`.reader`: one queue a partition
- :mod:`.position`: where to start: recovery state, settings, what the log still holds
- :mod:`.source`: the source: partitions aligned in chain time, live or bounded
"""
