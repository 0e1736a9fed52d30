"""Processes of ours that run in the background.

- :mod:`.background`: a process by pid and start time: is it that one, is it alive, end it in order
- :mod:`.startup`: is a start getting on, or stuck
- :mod:`.private`: files and folders of this user alone
- :mod:`.notify`: tell the service manager how a process is
- :mod:`.environment`: the environment that a child is given
"""
