"""``mevflow kill``."""

from control.cli.shards import kill as command

__all__ = ["command"]
