"""HTTP/JSON and WebSocket over the same handlers as gRPC."""
