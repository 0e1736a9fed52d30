"""``mevflow kill|release``, ``mevflow control pause|resume|snapshot|log-level``: commands to shards as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.control.connection import connect, delivering, how, reaching, show_reply
from mevflow.cli.output import emit, note
from mevflow.operators.errors import UnreachableError

_TOPOLOGY = click.option("--topology", default="", help="Of one topology (default: of all).")
_SCOPE = click.option("--scope", default="", help="pool:ADDRESS or mint:ADDRESS (default: everything).")
_WAIT = click.option("--wait", "wait_s", type=click.FloatRange(0), default=0.0, help="Seconds to wait for answers.")


@click.command()
@_TOPOLOGY
@_SCOPE
@click.option("--reason", default="", help="For the audit log.")
@click.option("--local", is_flag=True, help="Without the service: write the kill file that this host's shards watch.")
@_WAIT
@reaching
def kill(topology: str, scope: str, reason: str, local: bool, wait_s: float, as_json: bool, **where: Any) -> None:
    """No decisions until released. It is latched, and survives restarts."""
    if local:
        emit({"kill_file": str(_kill_file(topology, reason)), "engaged": True}, as_json)
        return
    with connect(**where) as control:
        try:
            reply = control.kill(topology, scope, reason=reason, wait_s=wait_s)
        except UnreachableError:
            note("the service does not answer; `mevflow kill --local` stops the shards of this host")
            raise
    show_reply(reply, as_json)


def _kill_file(topology: str, reason: str) -> Path:
    """Write the kill file of one topology or of all. Releasing means removing it first."""
    from mevflow.control.server.handlers import kill_file
    from mevflow.flows.config import config
    from mevflow.processes.private import private_folder, write_private

    path = kill_file(config().var, topology)
    private_folder(path.parent)
    write_private(path, f"{reason}\n".encode())
    return path


@click.command()
@_TOPOLOGY
@_SCOPE
@click.option("--reason", required=True, help="For the audit log.")
@_WAIT
@reaching
def release(topology: str, scope: str, reason: str, wait_s: float, as_json: bool, **where: Any) -> None:
    """Lift what kill engaged under the same topology and scope. Needs the role risk."""
    with connect(**where) as control:
        show_reply(control.release(topology, scope, reason=reason, wait_s=wait_s), as_json)


def _simple(kind: str, text: str) -> click.Command:
    def run(topology: str, as_json: bool, **options: Any) -> None:
        given = how(options)
        with connect(**options) as control:
            show_reply(control.command(topology, kind, how=given), as_json)

    run.__doc__ = text
    decorated = click.argument("topology", default="")(delivering(reaching(run)))
    return click.command(kind)(decorated)


pause = _simple("pause", "Sources of TOPOLOGY (default: of all) give no rows until resumed.")
resume = _simple("resume", "Sources of TOPOLOGY (default: of all) go on.")
snapshot = _simple("snapshot", "Ask for a snapshot; each epoch ends with one anyway, and shards say so.")


@click.command("log-level")
@click.argument("topology")
@click.argument("level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False))
@delivering
@reaching
def log_level(topology: str, level: str, as_json: bool, **options: Any) -> None:
    """Set what the shards of TOPOLOGY log."""
    given = how(options)
    with connect(**options) as control:
        show_reply(control.command(topology, "log_level", level=level.upper(), how=given), as_json)
