"""``mevflow topics``: create and list Kafka topics."""

from __future__ import annotations

import click

from mevflow.cli.output import csv_option, emit_csv, emit_json, json_option, note, table


@click.group()
def command() -> None:
    """Create the topics of mevflow, and list what is on the broker."""


@command.command()
@json_option
def create(as_json: bool) -> None:
    """Create what is missing; topics that are there stay as they are."""
    from mevflow.flows.config import config
    from mevflow.kafka import topics

    bootstrap = config().kafka.bootstrap
    created = topics.create(bootstrap)
    if as_json:
        emit_json({"created": created, "there": [s.name for s in topics.TOPICS if s.name not in created]})
    else:
        note(f"created {', '.join(created)}" if created else f"all {len(topics.TOPICS)} topics are there")


@command.command("list")
@json_option
@csv_option
def list_(as_json: bool, as_csv: bool) -> None:
    """Topics with their partitions and messages."""
    from mevflow.flows.config import config
    from mevflow.kafka import topics

    found = topics.listing(config().kafka.bootstrap)
    if as_json:
        emit_json(
            [
                {
                    "topic": info.name,
                    "partitions": len(info.ends),
                    "messages": info.messages,
                    "offsets": {str(p): list(pair) for p, pair in info.ends.items()},
                }
                for info in found
            ]
        )
    else:
        show = emit_csv if as_csv else table
        show(["topic", "partitions", "messages"], [[i.name, len(i.ends), i.messages] for i in found])
