"""``mevflow release``."""

from control.cli.shards import release as command

__all__ = ["command"]
