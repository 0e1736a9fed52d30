"""The same job as a user of another framework would write it, with its best settings; ``run`` has the engines in Java.

Each peer is a process of its own. Those in Python handle a message at a time (``job.py``); what Flink, Kafka Streams
and a plain consumer do in Java is under ``java``.
"""

from mevflow.bench.peers.contest import run as run
