"""``mevflow release``."""

from mevflow.cli.control.shards import release as command

__all__ = ["command"]
