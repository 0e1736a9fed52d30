"""``mevflow feed``: recorded days into Kafka."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from mevflow.cli.output import emit_json, json_option, note


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--topic", default="dex-swaps-proto", show_default=True, help="Where swaps go.")
@click.option("--updates-topic", default="pool-updates-proto", show_default=True, help="Where pool updates go.")
@click.option("--rate", default="max", show_default=True, metavar="R|max", help="Messages a second.")
@click.option("--speed", type=float, metavar="X", help="A multiple of chain time, e.g. 60: an hour in a minute.")
@click.option("--pools", type=click.Path(path_type=Path, dir_okay=False), help="Pool file of EVM logs (YAML or CSV).")
@click.option("--pool", "named", multiple=True, metavar="ADDRESS@RPC", help="A pool, asked of a node (repeatable).")
@json_option
def command(
    files: tuple[Path, ...],
    topic: str,
    updates_topic: str,
    rate: str,
    speed: float | None,
    pools: Path | None,
    named: tuple[str, ...],
    as_json: bool,
) -> None:
    """Publish recorded FILES to Kafka, keyed by pool, with chain time as timestamp.

    Takes Whirlpool days, Uniswap csv, EVM logs: JSON of eth_getLogs (array, lines or responses), Parquet and CSV
    as cryo writes them, with a file of blocks where logs have no time; and Solana transactions: what getTransaction
    or getBlock answered, a line each (of a block {"slot": N, "result": {...}}).

    Every message is published once: a feed that was cut off, or is run again, goes on where the topics end.
    What cannot be read goes to dlq.
    """
    from mevflow.cli.progress import progress
    from mevflow.flows.config import config
    from mevflow.flows.feed.publish import feed
    from mevflow.operators.errors import UsageError

    pace = _rate(rate)
    if pace is not None and speed is not None:
        raise UsageError("a rate and a speed cannot be kept both", hint="give --rate or --speed")
    if speed is not None and speed <= 0:
        raise UsageError("a speed is above zero", key="--speed")
    if named:
        from mevflow.flows.pools.named import write_pool_file

        if pools is not None:
            raise UsageError("pools are named by a file or one by one", hint="give --pools or --pool")
        pools = write_pool_file(named, config().var / "pools")
        note(f"the pools, for another time: --pools {pools}")
    for path in files:
        if not path.is_file():
            raise UsageError("there is no such file", file=str(path))
    total = sum(path.stat().st_size for path in files)
    with progress(total, "feed", enabled=not as_json) as bar:
        outcome = feed(
            files,
            config=config(),
            topic=topic,
            updates_topic=updates_topic,
            rate=pace,
            speed=speed,
            pools=pools,
            progress=bar,
            say=note,
        )
    if as_json:
        emit_json(dataclasses.asdict(outcome))
    else:
        rejected = f", {outcome.rejected:,} of them to dlq" if outcome.rejected else ""
        note(
            f"{outcome.published:,} messages published{rejected}, {outcome.skipped:,} were there before "
            f"({outcome.seconds:.1f} s)"
        )


def _rate(text: str) -> float | None:
    from mevflow.operators.errors import UsageError

    if text == "max":
        return None
    try:
        rate = float(text.replace("_", ""))
    except ValueError:
        rate = 0.0
    if rate <= 0:
        raise UsageError(f"{text!r} is no rate", hint="messages a second above zero, or max", key="--rate")
    return rate
