"""ClickHouse: the embedded server, the schema, the queries.

- :mod:`.server`: the chDB engine behind ClickHouse's HTTP interface
- :mod:`.daemon`: that server as a background process
- :mod:`.migrate`: numbered SQL migrations
- :mod:`.queries`: query templates
- :mod:`.client`, :mod:`.tls`: clickhouse-connect clients, made one way everywhere
"""
