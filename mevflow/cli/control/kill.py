"""``mevflow kill``."""

from mevflow.cli.control.shards import kill as command

__all__ = ["command"]
