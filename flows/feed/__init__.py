"""Recorded files into Kafka, each message once.

- :mod:`.publish`: read, key by pool, publish at chain time
- :mod:`.mark`: how far a feed has come, written on every record
"""
