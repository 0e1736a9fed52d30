"""What does not end: a topic's records (``bridge``) and the hub's channels (``realtime``) through the gateway."""
