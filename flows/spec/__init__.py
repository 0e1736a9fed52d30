"""What a topology is: read from its file, checked, drawn. In reading order:

- :mod:`.topology`: the file's model, with line numbers for every complaint
- :mod:`.control`: what it says of its control plane
- :mod:`.catalogue`: what a topology may ``use``: built-in stages, sources, sinks and plug-ins
- :mod:`.resolve`: the topology held against the catalogue: settings, ports, schemas, cycles, loose error ports
- :mod:`.preflight`: the topology held against the services: broker, topics, ClickHouse and its tables
- :mod:`.graph`: the topology drawn
"""
