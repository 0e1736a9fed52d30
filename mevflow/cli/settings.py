"""Options that several commands share, and the addresses that a topology file may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mevflow.operators.samples import found

Command = TypeVar("Command", bound=Callable[..., Any])


def file_option(command: Command) -> Command:
    """Add ``--file`` (the topology file), and give its ``${…}`` variables the configured addresses.

    The file also says where the configuration and the state are, from whatever folder the command is run. Both
    end with the command: the next one in the same process has its own.
    """
    help_text = "The topology file; state and configuration are found around it."
    return click.option(
        "--file", "file", type=click.Path(path_type=Path), callback=_file, is_eager=True, help=help_text
    )(command)


def absolute(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """A callback: a path without ``..``, which would lead elsewhere once a folder on the way is gone."""
    return None if value is None else Path(os.path.abspath(value))


def _file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path:
    from mevflow.flows.config import config, locate

    if value is not None:
        value = Path(os.path.abspath(value))
        before = locate(value)
        context.call_on_close(lambda: locate(before))
    settings = config()
    addresses = {
        "KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "CLICKHOUSE_HOST": settings.clickhouse.host,
        "CLICKHOUSE_PORT": settings.clickhouse.port,
        "CLICKHOUSE_DATABASE": settings.clickhouse.database,
        "CLICKHOUSE_USER": settings.clickhouse.user,
        "CLICKHOUSE_PASSWORD": settings.clickhouse.password.get_secret_value(),
        "WEBSOCKET_PORT": settings.websocket.port,
    }
    missing = {name: str(address) for name, address in addresses.items() if name not in os.environ}
    os.environ.update(missing)
    context.call_on_close(lambda: [os.environ.pop(name, None) for name in missing])
    return value or found(settings.topologies)
