"""What the service reads from Kafka and writes to it.

- :mod:`.writer`: commands and audit records
- :mod:`.collector`: acknowledgements, by a Faust agent
- :mod:`.reader`: commands, heartbeats and audit, first to their ends, then as they grow
- :mod:`.events`: the newest records of a topic, for callers who follow them
- :mod:`.offsets`: where a topic begins and ends
"""
