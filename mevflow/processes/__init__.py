"""Processes of ours that run in the background.

- :mod:`.background`: a process by pid and start time: is it that one, is it alive, end it in order
- :mod:`.startup`: is a start getting on, or stuck
- :mod:`.confined`: a process that reaches a few folders and no more
- :mod:`.private`: files and folders of this user alone
- :mod:`.jobs`: ``mevflow …`` in the background, and its last words
- :mod:`.fail_points`: places at which a test lets a process die
- :mod:`.addresses`: loopback or not, and a port for a temporary server
- :mod:`.notify`: tell the service manager how a process is
- :mod:`.environment`: the environment that a child is given
"""
