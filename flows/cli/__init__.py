"""The ``mevflow`` command. Each subcommand is one file, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from operators.errors import MevflowError

#: Subcommand -> (module, attribute). Kept as text so that ``mevflow --help`` imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("flows.cli.demo", "Run the main job on the recorded days, with everything it needs."),
    "doctor": ("flows.cli.doctor", "Check what this machine has and what is running."),
    "topologies": ("flows.cli.topologies", "List, validate and draw the topologies of the topology file."),
    "deploy": ("flows.cli.deploy", "Start a named topology."),
    "status": ("flows.cli.status", "What runs, how fast, how far behind."),
    "logs": ("flows.cli.logs", "What the shards of a topology wrote."),
    "stop": ("flows.cli.stop", "Drain a topology."),
    "replay": ("flows.cli.replay", "Run a topology over a window of history."),
    "feed": ("flows.cli.feed", "Publish recorded days to Kafka."),
    "dlq": ("flows.cli.dlq", "Messages that could not be processed: list, show, send again."),
    "parse": ("flows.cli.parse", "Parse recorded transactions and check the result."),
    "label": ("flows.cli.label", "Find realised arbitrages and sandwiches in a file of swaps."),
    "quote": ("flows.cli.quote", "Check exact quotes against recorded ones."),
    "size": ("flows.cli.size", "The best input, amounts and profit of cycles in a file."),
    "opportunities": ("flows.cli.opportunities", "The best opportunities found."),
    "explain": ("flows.cli.explain", "A decision from its source offset to its reward."),
    "broker": ("flows.cli.broker", "Run the embedded Kafka broker: start, stop, status."),
    "topics": ("flows.cli.topics", "Create and list Kafka topics."),
    "clickhouse": ("flows.cli.clickhouse", "Run the embedded ClickHouse: start, stop, migrate, query."),
    "control": ("control.cli", "Change running topologies: policies, models, the kill switch; run the service."),
    "policy": ("control.cli.policy", "Policies: validate, plan, apply, status, history, rollback, watch."),
    "model": ("control.cli.model", "Models: list, swap."),
    "kill": ("control.cli.kill", "No decisions until released."),
    "release": ("control.cli.release", "Lift what kill engaged."),
    "hub": ("flows.cli.hub", "Run the WebSocket fan-out hub: start, stop, status."),
    "listen": ("flows.cli.listen", "Print live messages as they come."),
    "config": ("flows.cli.config", "Show the configuration and where each value comes from."),
    "bench": ("flows.cli.bench", "Measure, and print ratios against a peer or a limit."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and help, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mevflow")
def cli() -> None:
    """Watch every swap, find cyclic arbitrage, learn how to bid for it, keep the history queryable."""


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; turn every error into one message and its exit code."""
    try:
        code = cli.main(args=argv, prog_name="mevflow", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except MevflowError as error:
        click.echo(f"mevflow: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)
