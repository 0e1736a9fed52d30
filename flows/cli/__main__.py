"""``python -m flows.cli``: the ``mevflow`` command."""

from flows.cli import main

main()
