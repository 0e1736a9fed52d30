"""``mevflow deploy``: start a named topology."""

from __future__ import annotations

from pathlib import Path

import click

from mevflow.cli.output import emit, json_option, note
from mevflow.cli.settings import file_option
from mevflow.operators.errors import UsageError


@click.command()
@click.argument("name")
@click.option("--shards", type=click.IntRange(1, 256), help="Override the number of shards.")
@click.option("--host", "part", metavar="I/N", help="Run this host's part of the shards: it is the I-th of N hosts.")
@click.option("--foreground", is_flag=True, help="Stay attached; Ctrl-C drains.")
@click.option("--fresh", is_flag=True, help="Forget saved state; start where the sources say.")
@click.option("--takeover", is_flag=True, help="Take it from another folder or host that still claims it.")
@file_option
@json_option
def command(
    name: str,
    shards: int | None,
    part: str | None,
    foreground: bool,
    fresh: bool,
    takeover: bool,
    file: Path,
    as_json: bool,
) -> None:
    """Deploy the topology NAME: check everything, then start its shards under a supervisor."""
    host = _host(part)
    note(f"deploying {name} from {file}")
    from mevflow.flows.config import config
    from mevflow.flows.runtime import deploy

    spec = deploy.prepare(file, name, config().var, shards=shards, fresh=fresh, takeover=takeover, host=host, say=note)
    if foreground:
        from mevflow.flows.runtime.supervisor import Supervisor

        with deploy.claimed(spec, note) as (ready, claim, leases):
            raise click.exceptions.Exit(Supervisor(ready, claim, leases).run())  # which lets go of them
    pid = deploy.start(spec, note)
    emit(
        {"topology": name, "state": "running", "shards": spec.shards, "pid": pid, "folder": spec.root}
        | ({"host": f"{spec.host + 1}/{spec.hosts}", "here": list(spec.numbers)} if spec.hosts > 1 else {}),
        as_json,
    )


def _host(part: str | None) -> tuple[int, int]:
    """Number of the host (from 0) and of hosts. Raises UsageError."""
    if part is None:
        return 0, 1
    host, _, hosts = part.partition("/")
    if not (host.isdecimal() and hosts.isdecimal() and len(part) < 9 and 1 <= int(host) <= int(hosts) <= 256):
        raise UsageError(f"{part!r} is not I/N, as 2/3 for the second of three hosts", key="--host")
    return int(host) - 1, int(hosts)
