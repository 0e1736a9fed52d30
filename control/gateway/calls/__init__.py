"""The calls of ``mevflow.v1.Control`` over HTTP (``calls``) and WebSocket (``channel``), as JSON (``shape``)."""
