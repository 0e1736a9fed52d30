"""``python -m mevflow.cli``: the ``mevflow`` command."""

from mevflow.cli import main

main()
