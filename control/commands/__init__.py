"""A command, from what a caller asked for to what the shards made of it. In reading order:

- :mod:`.draft`: before it has a version
- :mod:`.rehearsal`: what a stage would say to it
- :mod:`.diff`: what it would change
- :mod:`.issuer`: a version, the log, the answers, the way back
- :mod:`.record`: one command, who must answer it, who has
- :mod:`.ledger`: all commands by key, as the topics tell them
- :mod:`.shards`: which shards there are
"""
