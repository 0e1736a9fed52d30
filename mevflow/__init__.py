"""mevflow: a stream-processing framework, and the arbitrage pipeline built on it.

Read the rooms in the order that data flows:

- :mod:`mevflow.v1`: the messages, generated from ``proto/``
- :mod:`mevflow.operators`: pure columnar stages and the maths below them
- :mod:`mevflow.processes`: processes that outlive the command that started them
- :mod:`mevflow.kafka`, :mod:`mevflow.clickhouse`: the two services, embedded or elsewhere
- :mod:`mevflow.sources`, :mod:`mevflow.sinks`: where batches come from and where they go
- :mod:`mevflow.flows`: topologies, from the file to running shards
- :mod:`mevflow.control`: the control plane
- :mod:`mevflow.web`: the dashboard's pages, which the control plane's gateway serves
- :mod:`mevflow.bench`: measurements
- :mod:`mevflow.testing`: contract checks for plug-ins, ours and yours
- :mod:`mevflow.cli`: the ``mevflow`` command, on top of everything

In the source tree most rooms are folders at the root; this package links to them (docs/decisions/0007).
"""
