"""The embedded ClickHouse: the chDB engine in one process, behind ClickHouse's own HTTP interface.

Read in this order: ``__main__`` (the process), ``listener`` (the socket and the event loop), ``protocol`` (the wire and
its bounds), ``handler`` (one request), ``execute`` (one statement on the engine), ``engine`` (the engine itself).
Beside them ``services`` (what all are given), ``statement`` and ``tokens`` (what a text asks for), ``spool`` and
``bodies`` (what arrives), ``outlet`` and ``replies`` (what leaves), ``queries``, ``sessions``, ``access``, ``errors``.
"""
