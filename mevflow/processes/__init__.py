"""Processes of ours that run in the background.

- :mod:`.background`: a process by pid and start time: is it that one, is it alive, end it in order
- :mod:`.environment`: the environment that a child is given
"""
