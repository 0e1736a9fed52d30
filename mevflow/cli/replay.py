"""``mevflow replay``: a topology over a window of history, and two such runs held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mevflow.cli.output import emit_json, json_option, note, table
from mevflow.cli.settings import file_option
from mevflow.operators.errors import MevflowError, UsageError


class _Replay(click.Group):
    """``mevflow replay NAME …`` runs; ``mevflow replay diff R1 R2`` compares."""

    #: What is meant where no subcommand is named.
    default = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Replay)
def command() -> None:
    """Run a topology over a window of history (run NAME, or just NAME), or compare two runs (diff)."""


@command.command()
@click.argument("name")
@click.option("--from", "from_", metavar="TIME", help="First chain time, e.g. 2022-04-06T06:00Z.")
@click.option("--to", metavar="TIME", help="Chain time that the window ends before.")
@click.option("--from-offset", multiple=True, metavar="TOPIC:PARTITION:OFFSET", help="Start by offset; repeat.")
@click.option("--to-offset", multiple=True, metavar="TOPIC:PARTITION:OFFSET", help="End before this offset; repeat.")
@click.option("--from-slot", type=click.IntRange(0), help="First slot (or block), instead of --from.")
@click.option("--to-slot", type=click.IntRange(0), help="Slot that the window ends before, instead of --to.")
@click.option("--chain", default="solana", show_default=True, help="Whose slots they are.")
@click.option("--run-id", required=True, help="Names the run; its rows and files carry it.")
@click.option("--warmup", default="all", show_default=True, help="History read before the window: all, none, or 6h.")
@click.option("--no-clickhouse", is_flag=True, help="Write the result files only.")
@click.option("--allow-lost-commands", is_flag=True, help="Run although commands cannot be given again.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@file_option
@json_option
def run(
    name: str,
    from_: str | None,
    to: str | None,
    from_offset: tuple[str, ...],
    to_offset: tuple[str, ...],
    from_slot: int | None,
    to_slot: int | None,
    chain: str,
    run_id: str,
    warmup: str,
    no_clickhouse: bool,
    allow_lost_commands: bool,
    dry_run: bool,
    file: Path,
    as_json: bool,
) -> None:
    """Run NAME over a window of its topics with the same code, bounded, with its own state.

    Results go to ClickHouse under the run's id and to Parquet files; the same window gives the same bytes.
    """
    import re

    from mevflow.flows.config import config
    from mevflow.flows.replay import plan as replay
    from mevflow.flows.times import duration_us, iso, time_us

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", run_id):
        raise UsageError(f"{run_id!r} is no run id", hint="letters, digits, dots, - and _", key="--run-id")
    from_us = time_us(from_) if from_ else None
    to_us = time_us(to) if to else None
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise UsageError(f"the window is empty: {iso(from_us)} is not before {iso(to_us)}", key="--to")
    slots = _slots(from_slot, to_slot, chain)
    if slots is not None and (from_ or to or from_offset or to_offset):
        raise UsageError("a window is given by slot, by time or by offset", key="--from-slot")
    plan = replay.plan(
        file,
        name,
        config().var,
        run_id,
        from_us=from_us,
        to_us=to_us,
        offsets=_offsets(from_offset, to_offset),
        warmup_us=None if warmup == "all" else 0 if warmup == "none" else duration_us(warmup),
        to_clickhouse=not no_clickhouse,
        slots=slots,
    )
    if dry_run and as_json:
        emit_json(plan.as_dict())
        return
    if not as_json:
        span = f"{iso(from_us) if from_us else 'the beginning'} .. {iso(to_us) if to_us else 'the end'}"
        note(f"replay {name} as {run_id}: {span}, {plan.messages:,} messages, warm-up {warmup}")
        rows = [
            [n, s["topic"], p, a, b, b - a] for n, s in plan.sources.items() for p, (a, b) in s["partitions"].items()
        ]
        table(["node", "topic", "partition", "from offset", "to offset", "messages"], rows)
        if plan.left_out:
            note(f"left out, as they speak to live readers: {', '.join(plan.left_out)}")
        if plan.only_files:
            note(f"nothing is stored elsewhere: the results are files in {plan.spec.layout.results}")
        if plan.commands:
            note(f"{plan.commands} commands that steered the live run are given again where they took effect")
        for reason in plan.commands_lost:
            note(f"a command cannot be given again: {reason}")
    if dry_run:
        return
    if not allow_lost_commands:
        plan.check()
    outcome = carry_out(plan, quiet=as_json)
    if as_json:
        emit_json(outcome)
        return
    table(
        ["result", "rows", "sha256", "file"],
        [[r["message"], r["rows"], r["sha256"][:16], r["file"]] for r in outcome["results"]],
    )
    note(f"{outcome['messages']:,} messages in {outcome['seconds']:.1f} s ({outcome['messages_per_s']:,.0f}/s)")


def carry_out(plan: Any, quiet: bool) -> dict[str, Any]:
    """Run a planned replay in a shard process of its own, with a progress bar; give its figures and results."""
    import os
    import subprocess
    import sys
    import time

    from mevflow.cli.progress import progress
    from mevflow.flows.replay.plan import exclusive, results
    from mevflow.flows.runtime.status import shard_status
    from mevflow.processes.environment import environment
    from mevflow.processes.private import open_private

    spec = plan.spec
    began = time.monotonic()
    with exclusive(spec) as claim:
        with open_private(spec.layout.log(0), "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mevflow.flows.runtime.shard", str(spec.layout.spec), "0", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=Path(spec.file).parent,
                env=environment(),
                pass_fds=(claim.fd,),
            )
        try:
            with progress(plan.messages, "replay", enabled=not quiet) as bar:
                while process.poll() is None:
                    nodes = shard_status(spec.layout, 0).get("nodes", {})
                    bar(int(sum(nodes[n]["rows_out"] for n in plan.sources if n in nodes)))
                    time.sleep(0.1)
                bar(plan.messages)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode:
            raise MevflowError(f"the replay failed:\n{spec.layout.log(0).read_text(errors='replace')[-2000:]}")
        seconds = time.monotonic() - began
        return {
            "topology": plan.topology,
            "run_id": plan.run_id,
            "messages": plan.messages,
            "seconds": round(seconds, 3),
            "messages_per_s": round(plan.messages / seconds),
            "results": results(spec.layout),
        }


@command.command()
@click.argument("first")
@click.argument("second")
@click.option("--topology", help="Of which topology the runs are, where several have runs of these names.")
@json_option
def diff(first: str, second: str, topology: str | None, as_json: bool) -> None:
    """Compare two runs by their result files. Exit code 0: equal; 4: they differ."""
    from mevflow.flows.config import config
    from mevflow.flows.replay.diff import diff as compare
    from mevflow.flows.replay.diff import folder_of
    from mevflow.operators.errors import CheckFailedError

    var = config().var
    folders = [folder_of(var, each, topology) for each in (first, second)]
    found = compare(folders[0], folders[1], (first, second))
    if as_json:
        emit_json(found.as_dict())
    else:
        table(
            ["message", "rows", f"only in {first}", f"only in {second}", "changed", "fields"],
            [
                [
                    one.message,
                    f"{one.rows[0]:,} / {one.rows[1]:,}",
                    len(one.only_first),
                    len(one.only_second),
                    len(one.changed),
                    ", ".join(f"{name} {count}" for name, count in one.fields.most_common(4)),
                ]
                for one in found.messages
            ],
        )
        one, other = found.profit_usd
        note(f"net profit of all opportunities: {one:,.2f} and {other:,.2f} USD, {other - one:+,.2f}")
    if not found.equal:
        where = found.first or {}
        raise CheckFailedError(f"the runs differ, first at {where}", key=f"{first} {second}")


def _slots(first: int | None, end: int | None, chain: str) -> Any:
    """The window by slot, if one is given. Raises UsageError for an empty one."""
    from mevflow.flows.runtime.window import SlotWindow
    from mevflow.operators.chains import number_of

    if first is None and end is None:
        return None
    if first is not None and end is not None and first >= end:
        raise UsageError(f"the window is empty: slot {first} is not before {end}", key="--to-slot")
    return SlotWindow(number_of(chain), first, end)


def _offsets(
    starts: tuple[str, ...], stops: tuple[str, ...]
) -> dict[str, tuple[dict[int, int], dict[int, int]]] | None:
    if not starts and not stops:
        return None
    found: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
    for side, given in enumerate((starts, stops)):
        for text in given:
            try:
                topic, partition, offset = text.rsplit(":", 2)
                found.setdefault(topic, ({}, {}))[side][int(partition)] = int(offset)
            except ValueError as error:
                raise UsageError(f"{text!r} is not TOPIC:PARTITION:OFFSET") from error
    for topic, (begin, end) in found.items():
        if begin.keys() != end.keys():
            raise UsageError(
                "each partition needs both --from-offset and --to-offset",
                topic=topic,
                partition=min(begin.keys() ^ end.keys()),
            )
    return found
