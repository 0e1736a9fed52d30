"""What every process tells Prometheus.

Nothing here is on the way of a message: processes count as they work, and a page is put together when it is asked for.

- :mod:`.catalogue`: every metric by name: kind, labels, which process has it
- :mod:`.buckets`: a histogram that costs one addition an observation
- :mod:`.page`: one answer to a scrape; refuses what the catalogue does not have
- :mod:`.endpoint`: ``/metrics`` in OpenMetrics on an address of this machine
- :mod:`.serving`: whether and where a process serves
- :mod:`.targets`: ``<var>/prometheus/targets.json``, by which Prometheus finds the processes
- :mod:`.process`: what every process has: memory, processor time, collections, build
- :mod:`.http`: requests of an HTTP server by status
- :mod:`.document`: ``docs/metrics.md`` from the catalogue
"""
