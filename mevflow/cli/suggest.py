"""What somebody who mistyped a command may have meant."""

from __future__ import annotations

import difflib
import re

import click

_UNKNOWN = re.compile(r"No such command '([^']*)'")


def suggest(wrong: click.ClickException) -> None:
    """Add to an unknown command's message the commands of the same group that look like it."""
    context = getattr(wrong, "ctx", None)
    found = _UNKNOWN.match(wrong.message)
    if found is None or context is None or not isinstance(context.command, click.Group):
        return
    near = difflib.get_close_matches(found[1], context.command.list_commands(context), n=3, cutoff=0.6)
    if near and "Did you mean" not in wrong.message:
        wrong.message += f" Did you mean {' or '.join(near)}?"
