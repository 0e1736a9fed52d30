"""``mevflow control serve|start|stop``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mevflow.cli.output import emit, emit_json, json_option, note
from mevflow.cli.settings import file_option


@click.command()
@click.option("--host", help="Address to listen on (default: as configured).")
@click.option("--port", type=click.IntRange(0, 65535), help="0: a free one (default: as configured).")
@click.option("--http-port", type=click.IntRange(0, 65535), help="Of the gateway; 0: a free one.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO")
@file_option
@json_option
def serve(host: str | None, port: int | None, http_port: int | None, log_level: str, file: Path, as_json: bool) -> None:
    """Run the control service until SIGTERM; it then ends what it has under way. Its log is JSON on stderr."""
    # What the service starts is another program at once. gRPC would restart its threads in the child before that, and
    # a child dies of it now and then. It reads this when it is imported.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
    from mevflow.control.auth.setup import guards
    from mevflow.control.gateway.server import HttpDoor
    from mevflow.control.server.grpc_door import Door
    from mevflow.control.server.process import Options, run
    from mevflow.control.server.service import ServiceSettings
    from mevflow.flows.config import config
    from mevflow.sinks.websocket.hub.wire import socket_path

    settings = config()
    where = host or settings.control.host
    guarded = guards(settings.control, where)
    door = Door(where, settings.control.port if port is None else port, guarded.credentials)
    http = HttpDoor(
        where,
        settings.control.http_port if http_port is None else http_port,
        guarded.context,
        settings.control.origins,
        clickhouse=settings.clickhouse,
        hub=socket_path(settings.websocket.port),
        prometheus=settings.metrics.prometheus,
        grafana=settings.metrics.grafana_hosts,
    )
    options = Options(
        ServiceSettings(
            settings.kafka.bootstrap,
            file,
            settings.var,
            signing_key=settings.control.signing_key,
            command_keys=settings.control.command_keys,
            model_keys=settings.control.model_keys,
            models_signed=settings.control.models_signed,
        ),
        door,
        guarded.authenticator,
        (http.beside(guarded.authenticator.authenticates),),
        log_level,
        settings.serving(),
    )

    def ready(found: dict[str, str]) -> None:
        if as_json:
            emit_json(found)
            return
        click.echo(f"gRPC at {found['grpc']}, HTTP at {found['http']} (service {found['service_id']})")
        click.echo(guarded.said())

    run(options, ready)


@click.command()
@file_option
@json_option
def start(file: Path, as_json: bool) -> None:
    """Start the service in the background, and wait until it answers."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime.control_service import start as start_service

    emit(start_service(config().var, file), as_json)


@click.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop the service of this folder in order."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime.control_service import stop as stop_service

    stopped = stop_service(config().var)
    if as_json:
        emit({"stopped": stopped}, as_json)
    else:
        note("the control service has stopped" if stopped else "no control service runs for this folder")
