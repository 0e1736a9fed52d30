"""``mevflow diff``: two decisions, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, table


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--run-id", default="", help="The run of FIRST instead of the live one.")
@click.option("--run-id-2", "second_run", default=None, help="The run of SECOND; the same by default.")
@json_option
def command(first: str, second: str, run_id: str, second_run: str | None, as_json: bool) -> None:
    """What differs between two decisions: offset, opportunity, context, arms, chances, outcome. Exit code 4: anything.

    FIRST and SECOND are ids, or the first six or more digits of them; the same one may be of two runs.
    """
    from mevflow.clickhouse.client import connect
    from mevflow.flows.config import config
    from mevflow.flows.explain import explain
    from mevflow.operators.errors import CheckFailedError

    at = config().clickhouse
    client = connect(at.host, at.port, user=at.user, password=at.password.get_secret_value(), database=at.database)
    stories = [
        dict(_flat("", explain(client, identifier, run)))
        for identifier, run in ((first, run_id), (second, run_id if second_run is None else second_run))
    ]
    fields = list(dict.fromkeys([*stories[0], *stories[1]]))
    rows = [
        {"field": field, "first": stories[0].get(field), "second": stories[1].get(field)}
        for field in fields
        if stories[0].get(field) != stories[1].get(field)
    ]
    if as_json:
        emit_json(rows)
    else:
        table(["field", first, second], [[str(row[key]) for key in ("field", "first", "second")] for row in rows])
    if rows:
        raise CheckFailedError(f"they differ in {len(rows)} fields", key=f"{first} {second}")


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Leaves by their place, ``decision.features.log_age``; lists stay whole."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{place}.{key}" if place else str(key), inner)
    else:
        yield place, value
