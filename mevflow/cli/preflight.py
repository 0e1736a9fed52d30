"""``mevflow preflight``: what stands in the way of a deployment here."""

from __future__ import annotations

import click
import msgspec

from mevflow.cli.output import emit_json, json_option, note, table


@click.command()
@click.option("--all", "everything", is_flag=True, help="Show what is in order, too.")
@json_option
def command(everything: bool, as_json: bool) -> None:
    """Look at ports, disk, memory, limits, clock, topics and tables, beside what runs here already; change nothing.

    Exit code 4 when something is in the way. docs/migrate.md has the checklist.
    """
    note("looking at ports, the machine, Kafka and ClickHouse")
    from mevflow.flows.config import config
    from mevflow.flows.preflight import look
    from mevflow.operators.errors import CheckFailedError

    found = look(config())
    blocked = [each for each in found if each.verdict == "blocked"]
    if as_json:
        emit_json({"ok": not blocked, "findings": [msgspec.to_builtins(each) for each in found]})
    else:
        shown = [each for each in found if everything or each.verdict != "ok"]
        if shown:
            table(
                ["what", "", "found", "what to do"],
                [[each.subject, each.verdict, each.found, each.advice] for each in shown],
            )
        note(f"{len(found) - len(shown)} others are in order" if len(shown) < len(found) else "")
    if blocked:
        raise CheckFailedError(
            f"{len(blocked)} in the way: {', '.join(each.subject for each in blocked)}", hint="docs/migrate.md"
        )
