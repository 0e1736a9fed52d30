"""``mevflow parse``: check how exactly recorded days replay, and derive where one begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mevflow.cli.output import emit_json, json_option, note, table
from mevflow.cli.progress import progress
from mevflow.operators.samples import found

if TYPE_CHECKING:
    from mevflow.operators.parse.check import DayCheck
    from mevflow.operators.parse.whirlpool.accounts import Accounts

_DATA = Path("examples/data")
_WHIRLPOOL = _DATA / "whirlpool-transaction-20220406.jsonl.gz"
_END = _DATA / "whirlpool-state-20220406.json.gz"
_START = _DATA / "whirlpool-start-20220406.json"
_UNISWAP = (
    _DATA / "uniswap-v3-usdc_weth_0.05pct_0x88e6a0c2_2024-01-05.csv.gz",
    _DATA / "uniswap-v3-usdc_weth_0.30pct_0x8ad599c3_2024-01-05.csv.gz",
)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def command() -> None:
    """Parse recorded transactions and check the result."""


@command.command()
@click.option("--day", type=click.Choice(["whirlpool", "uniswap"]), default="whirlpool", help="The recorded day.")
@click.option("--file", "files", type=_FILE, multiple=True, help="Another recording (repeat for several pools).")
@click.option("--start-state", type=_FILE, help="Where a Whirlpool recording begins.")
@click.option("--end-state", type=_FILE, help="The accounts at the end of a Whirlpool recording.")
@json_option
def check(day: str, files: tuple[Path, ...], start_state: Path | None, end_state: Path | None, as_json: bool) -> None:
    """Replay a recorded day in exact integers; exit 4 when fewer than 99 % of its swaps come out to the unit."""
    from mevflow.operators.errors import CheckFailedError
    from mevflow.operators.parse.check import BAR, check_uniswap, check_whirlpool
    from mevflow.operators.parse.uniswap.v3 import UniswapDay
    from mevflow.sources.recorded import open_recorded

    paths = files or tuple(found(path) for path in ((_WHIRLPOOL,) if day == "whirlpool" else _UNISWAP))
    if not files and day == "whirlpool":
        start_state, end_state = start_state or found(_START), end_state or found(_END)
    recorded = open_recorded(*paths, start_state=start_state, chunk_rows=500)
    with progress(recorded.bytes_total, f"replaying {paths[0].name}") as show:
        for _ in recorded:
            show(recorded.bytes_read)
    if isinstance(recorded.day, UniswapDay):
        result = check_uniswap(recorded.day)
    else:
        result = check_whirlpool(recorded.day, _accounts(end_state) if end_state else None)
    if as_json:
        emit_json(result.as_dict())
    else:
        _print(result)
    if not result.passed:
        raise CheckFailedError(
            f"{result.exact} of {result.swaps} swaps are exact, or a busy pool ended elsewhere than recorded; "
            f"the bar is {BAR:.0%} of the swaps and every busy pool"
        )


@command.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@json_option
def solana(paths: tuple[Path, ...], as_json: bool) -> None:
    """Parse recorded Solana transactions and accounts: files, or folders of .json files.

    Takes getTransaction JSON, its meta alone, and the fixtures of carbon and yellowstone-vixen. With --json a line a
    row: swaps, pool updates, accounts, and dead letters with the reason.
    """
    from mevflow.cli.parse_solana import files_of, rows_of, summary

    rows = rows_of(files_of(paths))
    if as_json:
        for row in rows:
            emit_json(row)
    else:
        table(("file", "swaps", "updates", "accounts", "dead letters", "reasons"), summary(rows))


@command.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pools", type=_FILE, help="The pool file (YAML or CSV).")
@click.option("--pool", "named", multiple=True, metavar="ADDRESS@RPC", help="A pool, asked of a node (repeatable).")
@json_option
def evm(paths: tuple[Path, ...], pools: Path | None, named: tuple[str, ...], as_json: bool) -> None:
    """Parse recorded EVM logs of known pools, and say what they came to and how fast."""
    import time

    from mevflow.flows.config import config
    from mevflow.flows.pools.named import write_pool_file
    from mevflow.operators.errors import UsageError
    from mevflow.operators.parse.evm.pool_file import read_pool_file
    from mevflow.sources.evm.files import LogFiles

    if (pools is None) == (not named):
        raise UsageError("which pools are these logs of?", hint="--pools FILE, or --pool ADDRESS@RPC for each")
    known = read_pool_file(pools or write_pool_file(named, config().var / "pools"))
    began = time.process_time()
    stream = LogFiles(paths, known)
    rows = {"Swap": 0, "PoolUpdate": 0, "DeadLetter": 0}
    for batch in stream:
        rows[batch.schema.metadata[b"message"].decode().rpartition(".")[2]] += batch.num_rows
    took = time.process_time() - began
    found = {
        "logs": stream.logs,
        "of_unknown_pools": stream.unknown,
        "swaps": rows["Swap"],
        "updates": rows["PoolUpdate"],
        "dead_letters": rows["DeadLetter"],
        "logs_per_cpu_second": round(stream.logs / took) if took else None,
    }
    if as_json:
        emit_json(found)
    else:
        table(("logs", "of unknown pools", "swaps", "updates", "dead letters", "logs/s"), [tuple(found.values())])


@command.command(name="start-state")
@click.option("--file", type=_FILE, default=_WHIRLPOOL, show_default=True, help="The recorded Whirlpool day.")
@click.option("--end-state", type=_FILE, default=_END, show_default=True, help="The accounts at its end.")
@click.option("--out", type=_FILE, default=_START, show_default=True, help="Where to write the start state.")
def start_state(file: Path, end_state: Path, out: Path) -> None:
    """Run a recorded Whirlpool day backwards from its end, and write where it began."""
    from mevflow.operators.parse.tokens import SOLANA
    from mevflow.operators.parse.whirlpool.start import derive_start_state
    from mevflow.operators.parse.whirlpool.state import write_start_state

    accounts = _accounts(end_state)
    note(f"running {file.name} backwards …")
    state = derive_start_state(_read(file).splitlines(), accounts, SOLANA)
    out.write_bytes(write_start_state(state))
    inferred = sum(position.inferred for position in state.positions)
    note(f"{out}: {len(state.pools)} pools, {len(state.positions)} positions, {inferred} ranges inferred")


def _accounts(path: Path) -> Accounts:
    from mevflow.operators.parse.whirlpool.accounts import read_accounts

    return read_accounts(_read(path))


def _read(path: Path) -> bytes:
    """A file's bytes, unzipped if need be. Raises UsageError."""
    import gzip

    from mevflow.operators.errors import UsageError

    try:
        raw = found(path).read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError) as wrong:
        raise UsageError(f"cannot be read: {wrong}", file=str(path)) from wrong


def _print(result: DayCheck) -> None:
    rows = [
        (
            pool.pool,
            pool.swaps,
            pool.exact,
            f"{pool.exact / pool.swaps:.2%}" if pool.swaps else "-",
            {True: "yes", False: "NO", None: "-"}[pool.end_state_exact],
        )
        for pool in result.pools
    ]
    table(("pool", "swaps", "exact", "share", "end state exact"), rows)
    click.echo(f"{result.exact:,} of {result.swaps:,} swaps exact, {result.reanchored:,} re-anchored")
