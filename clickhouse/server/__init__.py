"""The embedded ClickHouse: the chDB engine in one process, behind ClickHouse's own HTTP interface.

Read in this order: ``__main__`` (the process), ``listener`` (sockets to threads), ``handler`` (one request),
``execute`` (one statement on the engine), ``engine`` (the engine itself). Beside them ``statement`` (what a
text asks for), ``bodies`` (what arrives), ``replies`` (what leaves), ``sessions``, ``access`` and ``errors``.
"""
