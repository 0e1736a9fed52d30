"""``mevflow topologies``: what the topology file declares, whether it is right, how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, note, table
from mevflow.cli.settings import file_option
from mevflow.operators.errors import CheckFailedError


@click.group()
def command() -> None:
    """List, validate and draw the topologies of the topology file."""


@command.command("list")
@file_option
@json_option
def list_(file: Path, as_json: bool) -> None:
    """Every topology with what it does and whether it runs."""
    from mevflow.flows.config import config
    from mevflow.flows.runtime.status import status
    from mevflow.flows.spec.topology import load

    rows: list[dict[str, Any]] = [
        {
            "topology": name,
            "summary": topology.summary,
            "shards": topology.shards,
            "nodes": len(topology.nodes),
            "state": status(name, config().var)["state"],
        }
        for name, topology in load(file).topologies.items()
    ]
    if as_json:
        emit_json(rows)
    else:
        table(
            ["topology", "state", "shards", "nodes", "summary"],
            [[r["topology"], r["state"], r["shards"], r["nodes"], r["summary"]] for r in rows],
        )


@command.command()
@click.argument("names", nargs=-1)
@file_option
@json_option
def validate(names: tuple[str, ...], file: Path, as_json: bool) -> None:
    """Report every problem at once, each with its line. Exit code 4 when there is any."""
    from mevflow.flows.spec.resolve import check
    from mevflow.flows.spec.topology import load

    parsed = load(file)
    problems = list(parsed.problems)
    chosen = names or tuple(parsed.topologies)
    for name in chosen:
        problems += check(parsed, name)[1]
    problems = sorted(set(problems), key=lambda p: (p.line, p.key))
    if as_json:
        emit_json(
            {
                "valid": not problems,
                "topologies": list(chosen),
                "problems": [problem.as_dict() for problem in problems],
            }
        )
        if problems:
            raise click.exceptions.Exit(CheckFailedError.exit_code)
        return
    for problem in problems:
        click.echo(str(problem))
    if problems:
        count = len(problems)
        raise CheckFailedError(f"{count} problem{'s' if count > 1 else ''} in {file}")
    click.echo(f"{file}: {len(chosen)} topologies are valid")


@command.command()
@click.argument("name")
@click.option("--mermaid", "mermaid_path", type=click.Path(path_type=Path), help="Write Mermaid here.")
@click.option("--svg", "svg_path", type=click.Path(path_type=Path), help="Write SVG here.")
@file_option
@json_option
def graph(name: str, mermaid_path: Path | None, svg_path: Path | None, file: Path, as_json: bool) -> None:
    """Draw one topology: text on the terminal, Mermaid and SVG to files."""
    from mevflow.flows.spec import graph as draw
    from mevflow.flows.spec.resolve import resolve
    from mevflow.flows.spec.topology import load

    topology = resolve(load(file), name)
    for path, render in ((mermaid_path, draw.mermaid), (svg_path, draw.svg)):
        if path is not None:
            path.write_text(render(topology) + "\n")
            note(f"wrote {path}")
    if as_json:
        emit_json(
            {
                "topology": name,
                "shards": topology.shards,
                "nodes": [
                    {
                        "name": n.name,
                        "use": n.kind.use,
                        "from": [f"{w.source}.{w.source_port}" for w in n.wires],
                    }
                    for n in topology.nodes
                ],
            }
        )
    else:
        click.echo(draw.text(topology))


@command.command()
@json_option
def stages(as_json: bool) -> None:
    """Everything that a node may `use`, built in or from plug-ins, with its settings."""
    from mevflow.flows.spec import catalogue

    rows = []
    for use in catalogue.names():
        kind = catalogue.part(use)
        rows.append(
            {
                "use": use,
                "kind": catalogue.role(kind),
                "summary": kind.summary,
                "settings": list(kind.settings_type.model_fields),
            }
        )
    if as_json:
        emit_json(rows)
    else:
        table(
            ["use", "kind", "summary", "settings"],
            [[r["use"], r["kind"], r["summary"], ", ".join(r["settings"])] for r in rows],
        )
