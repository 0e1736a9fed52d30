"""The ``mevflow`` command. Each subcommand is one file, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import platform
import select
import sys
from typing import Any

import click

from mevflow.cli.suggest import suggest
from mevflow.operators.errors import MevflowError

#: Subcommand -> (module, attribute). Kept as text so that ``mevflow --help`` imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("mevflow.cli.init", "Write a project: topologies, settings, registry, a plug-in with tests."),
    "demo": ("mevflow.cli.demo", "Run the main job on the recorded days, with everything it needs."),
    "doctor": ("mevflow.cli.doctor", "Check what this machine has and what is running."),
    "preflight": ("mevflow.cli.preflight", "What stands in the way of a deployment here, and what would be created."),
    "topologies": ("mevflow.cli.topologies", "List, validate and draw the topologies of the topology file."),
    "deploy": ("mevflow.cli.deploy", "Start a named topology."),
    "top": ("mevflow.cli.top", "Rates, lag and share of a core of every node, live."),
    "status": ("mevflow.cli.status", "What runs, how fast, how far behind."),
    "logs": ("mevflow.cli.logs", "What the shards of a topology wrote."),
    "rescale": ("mevflow.cli.rescale", "Run a topology with another number of shards; its state moves along."),
    "upgrade": ("mevflow.cli.upgrade", "Run a topology as its file has it now; its state is kept."),
    "rollback": ("mevflow.cli.rollback", "Run a topology as it was before the last change."),
    "restart": ("mevflow.cli.restart", "Drain and start the shards of a topology again, one after the other."),
    "stop": ("mevflow.cli.stop", "Drain a topology."),
    "replay": ("mevflow.cli.replay", "Run a topology over a window of history."),
    "collect": ("mevflow.cli.collect", "Collect from nodes of EVM chains: what an endpoint can do, how it goes."),
    "feed": ("mevflow.cli.feed", "Publish recorded days to Kafka."),
    "dlq": ("mevflow.cli.dlq", "Messages that could not be processed: list, show, send again."),
    "parse": ("mevflow.cli.parse", "Parse recorded transactions and check the result."),
    "label": ("mevflow.cli.label", "Find realised arbitrages and sandwiches in a file of swaps."),
    "quote": ("mevflow.cli.quote", "Check exact quotes against recorded ones."),
    "size": ("mevflow.cli.size", "The best input, amounts and profit of cycles in a file."),
    "opportunities": ("mevflow.cli.opportunities", "The best opportunities found."),
    "pools": ("mevflow.cli.pools", "The pools that are known, and whether their chain says the same."),
    "verify": ("mevflow.cli.verify", "Execute an opportunity on a node, at its block."),
    "explain": ("mevflow.cli.explain", "A decision from its source offset to its reward."),
    "train": ("mevflow.cli.train", "Learn from a window of history, and keep what was learned."),
    "diff": ("mevflow.cli.diff", "What differs between two decisions, from the offset to the reward."),
    "audit": ("mevflow.cli.audit", "Whether logged propensities are those that arms were drawn with."),
    "evaluate": ("mevflow.cli.evaluate", "What another policy would have brought, or why nobody can say."),
    "broker": ("mevflow.cli.broker", "Run the embedded Kafka broker: start, stop, status."),
    "topics": ("mevflow.cli.topics", "Create and list Kafka topics."),
    "clickhouse": ("mevflow.cli.clickhouse", "Run the embedded ClickHouse: start, stop, migrate, query."),
    "control": (
        "mevflow.cli.control",
        "Run the control service; pause, resume, acks, keys.",
    ),
    "policy": ("mevflow.cli.control.policy", "Policies: validate, plan, apply, status, history, rollback, watch."),
    "model": ("mevflow.cli.control.model", "Models: list, show, sign, export, diff, swap, promote, rollback."),
    "kill": ("mevflow.cli.control.kill", "No decisions until released."),
    "release": ("mevflow.cli.control.release", "Lift what kill engaged."),
    "hub": ("mevflow.cli.hub", "Run the WebSocket fan-out hub: start, stop, status."),
    "listen": ("mevflow.cli.listen", "Print live messages as they come."),
    "backup": ("mevflow.cli.backup", "Write tables, state and project to a folder, all of one moment."),
    "restore": ("mevflow.cli.restore", "Make a deployment of a backup, or check one."),
    "clean": ("mevflow.cli.clean", "Remove what dead processes and old replays left behind."),
    "grafana": ("mevflow.cli.grafana", "Put dashboards and data source into a Grafana: plan, apply."),
    "install": ("mevflow.cli.install", "Write systemd units, user and kernel settings: install systemd."),
    "completion": ("mevflow.cli.completion", "A script that completes commands in bash, zsh or fish."),
    "compile": ("mevflow.cli.compile", "Compile the kernels ahead of the first run."),
    "config": ("mevflow.cli.config", "Show the configuration and where each value comes from."),
    "bench": ("mevflow.cli.bench", "Measure, and print ratios against a peer or a limit."),
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Whoever reads the output may leave early (``| head``): that is no failure."""
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            if not _reader_left():
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _reader_left() -> bool:
    """Whether it is the output that broke, and not a connection of the command's own."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    return bool(watch.poll(0))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mevflow", message=f"%(prog)s %(version)s, Python {platform.python_version()}")
def cli() -> None:
    """Watch every swap, find cyclic arbitrage, learn how to bid for it, keep the history queryable."""


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; turn every error into one message and its exit code."""
    # Otherwise pydantic looks into every installed distribution for plug-ins of its own, here and in each child.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = cli.main(args=argv, prog_name="mevflow", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as wrong:
        suggest(wrong)
        wrong.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except MevflowError as error:
        click.echo(f"mevflow: {error}", err=True)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
