"""Pools as ClickHouse knows them (``stored``), and as a node tells them by address (``named``)."""
