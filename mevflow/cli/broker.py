"""``mevflow broker``: the embedded Kafka broker."""

from __future__ import annotations

import dataclasses

import click

from mevflow.cli.output import emit, json_option, note


@click.group()
def command() -> None:
    """Run the embedded Kafka broker. Any other cluster is a bootstrap address (MEVFLOW_KAFKA__BOOTSTRAP)."""


@command.command()
@json_option
def start(as_json: bool) -> None:
    """Start it and wait until it answers; fetches Apache Kafka the first time."""
    from mevflow.flows.config import config
    from mevflow.kafka import broker

    kafka = config().kafka
    found = broker.start(config().var, kafka.bootstrap, kafka.controller_port, kafka.heap_mb, note)
    emit(dataclasses.asdict(found), as_json)


@command.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop it in order; what was acknowledged stays."""
    from mevflow.flows.config import config
    from mevflow.kafka import broker

    stopped = broker.stop(config().var)
    if as_json:
        emit({"stopped": stopped}, as_json)
    else:
        note("the broker has stopped" if stopped else "the broker did not run")


@command.command()
@json_option
def status(as_json: bool) -> None:
    """Whether it runs and answers. Exit code 3 when nothing answers."""
    from mevflow.flows.config import config
    from mevflow.kafka import broker
    from mevflow.operators.errors import UnreachableError

    found = broker.status(config().var, config().kafka.bootstrap)
    emit(dataclasses.asdict(found), as_json)
    if not found.answering:
        raise UnreachableError(f"no Kafka broker answers at {found.bootstrap}", hint="mevflow broker start")
