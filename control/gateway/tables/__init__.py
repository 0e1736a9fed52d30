"""What is stored: ``reader`` reads ClickHouse within bounds, ``select`` makes lists, ``datasets`` makes files."""
