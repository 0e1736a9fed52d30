"""HTTP/JSON and WebSocket over the same handlers as gRPC.

Read in this order: ``server`` is the application; a request comes through ``door`` (bytes, origin, session, who calls);
what it may ask is in ``calls`` (the calls of ``mevflow.v1.Control``), ``endpoints`` (functions of what is asked),
``topologies`` (a topology as the page needs it), ``tables`` (what is stored, as lists and files), ``sql`` (a statement
of the caller's own) and ``live`` (what does not end). ``openapi`` says all of it, ``health`` answers probes.
"""
