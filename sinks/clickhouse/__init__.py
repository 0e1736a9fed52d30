"""``clickhouse.sink``: batches of any message into its table, effectively once. In the order that a row takes:

- :mod:`.sink`: the sink and its commit protocol
- :mod:`.tables`: which message goes to which table, column by column
- :mod:`.columns`: a message's Arrow columns as a table's columns
- :mod:`.native`: ClickHouse's Native format
- :mod:`.writer`: background INSERTs with retries
- :mod:`.resume`: what is in ClickHouse already
"""
