"""Steering running shards: commands in, answers and heartbeats out.

``protocol`` is what shards and the control service agree on; ``commands`` reads the topic, ``mailbox`` is the way from
there into a stage, ``kill`` the switch, ``outbox`` answers and heartbeats; ``steering`` puts them together.
"""
