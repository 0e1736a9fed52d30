"""``mevflow label``: what the transactions of a file of swaps were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mevflow.cli.output import csv_option, emit_csv, emit_json, json_option, note, table

if TYPE_CHECKING:
    import pyarrow as pa

    from mevflow.operators.label.find import Found
    from mevflow.operators.label.jit import JitLiquidity
    from mevflow.operators.label.settings import LabelSettings
    from mevflow.operators.label.trade import Trade

_FILE = click.Path(exists=True, path_type=Path, dir_okay=False)
#: A recording holds the swaps of some pools; a route may pass through others.
_UNSEEN_PCT = 10


@click.command()
@click.argument("files", metavar="FILE...", type=_FILE, nargs=-1, required=True)
@click.option("--start-state", type=_FILE, help="Where a Whirlpool recording begins.")
@click.option(
    "--unseen-pct",
    type=click.IntRange(0, 50),
    help=f"Let an arbitrage pass through pools that the file does not hold, if what comes back is within this share of "
    f"what left. Default: 0 for swaps of mev-inspect (whole blocks), {_UNSEEN_PCT} for recordings of single pools.",
)
@click.option(
    "--shared",
    multiple=True,
    metavar="ADDRESS",
    help="A contract or a fee payer that acts for many (repeat for several); added to the known routers.",
)
@json_option
@csv_option
def command(
    files: tuple[Path, ...],
    start_state: Path | None,
    unseen_pct: int | None,
    shared: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Find the arbitrages, sandwiches and just-in-time liquidity in swaps.

    FILE holds swaps of mev-inspect-py (JSON lines; a block must be whole) or is a recorded day: a Whirlpool day, or
    Uniswap v3 logs (several files, a pool each). Files may be gzipped.

    With --json, one object a line: kind (arbitrage or sandwich), block_or_slot, tx, swaps, start_amount_raw,
    end_amount_raw, profit_raw, profit_token. Amounts are decimal text. An arbitrage's swaps are trace addresses (lists)
    or indices in the order of the route; a sandwich's tx is its front-run's, and its swaps are objects
    {"role", "tx", "swap"}. Of kind jit (recorded days that hold changes of liquidity), tx is what added it, roles are
    mint, victim and burn, and what is not known (amounts, the swap of a mint) is null.
    """
    from mevflow.operators.errors import UsageError
    from mevflow.operators.label.settings import LabelSettings

    whole_blocks = _is_mev_inspect(files[0])
    default = 0 if whole_blocks else _UNSEEN_PCT
    try:
        settings = LabelSettings(unseen_pct=default if unseen_pct is None else unseen_pct, also_shared=shared)
    except ValueError as wrong:
        raise UsageError(f"--shared: {wrong}", hint="0x and 40 hex digits, or an address in base58") from wrong
    found = _in_blocks(files, settings) if whole_blocks else _in_recording(files, start_state, settings)
    if as_json:
        for row in found:
            emit_json(row)
        return
    rows = list(found)
    columns = ("kind", "block_or_slot", "tx", "swaps", "start_amount_raw", "profit_raw", "profit_token")
    cells = [[_cell(name, row[name]) for name in columns] for row in rows]
    if as_csv:
        emit_csv(columns, cells)
        return
    table(columns, cells)
    kinds = [row["kind"] for row in rows]
    jit = f", {kinds.count('jit'):,} of just-in-time liquidity" if "jit" in kinds else ""
    click.echo(f"{kinds.count('arbitrage'):,} arbitrages, {kinds.count('sandwich'):,} sandwiches{jit}")


def _cell(name: str, value: Any) -> Any:
    if name == "swaps":
        return len(value)
    return "" if value is None else value


def _is_mev_inspect(path: Path) -> bool:
    from mevflow.operators.label.mev_inspect import MARK

    return MARK in next(_lines(path), b"")


def _in_blocks(files: tuple[Path, ...], settings: LabelSettings) -> Iterator[dict[str, Any]]:
    """Labels of files of mev-inspect's swaps, by block."""
    from mevflow.operators.label.find import find
    from mevflow.operators.label.mev_inspect import read_mev_inspect

    for path in files:
        swaps = read_mev_inspect(_lines(path), str(path))
        if swaps.undone:
            note(f"{path}: {swaps.undone:,} of {swaps.swaps:,} swaps were undone by the chain and are left out")
        for block, trades in sorted(swaps.blocks.items()):
            names = {index: _hex(name) for index, name in swaps.hashes[block].items()}
            for one in find(trades, settings):
                yield _row(one, block, names, _hex(one.token), traced=True)


def _in_recording(
    files: tuple[Path, ...], start_state: Path | None, settings: LabelSettings
) -> Iterator[dict[str, Any]]:
    """Labels of a recorded day, by slot."""
    from mevflow.cli.progress import progress
    from mevflow.operators.label.candidates import SCHEMA
    from mevflow.operators.label.moves import BARE_MOVE, OpenMoves, moves_of
    from mevflow.operators.label.slots import OpenSlots
    from mevflow.sources.recorded import open_recorded

    slots, moves = OpenSlots(SCHEMA, settings.hold_slots), OpenMoves(BARE_MOVE)
    recorded = open_recorded(*files, start_state=start_state, on_error=lambda error: note(str(error)))
    with progress(recorded.bytes_total, f"labelling {files[0].name}") as show:
        for batch in recorded:
            show(recorded.bytes_read)
            if batch.schema.metadata[b"message"] == b"mevflow.v1.PoolUpdate":
                moves.add(moves_of(batch, BARE_MOVE))
            elif batch.schema.metadata[b"message"] == b"mevflow.v1.Swap":
                found = slots.add(batch)
                yield from _of_slots(found, moves.take(slots.closed), settings)
    found = slots.finish()
    yield from _of_slots(found, moves.take(slots.closed), settings)


def _of_slots(swaps: pa.RecordBatch, moves: pa.RecordBatch, settings: LabelSettings) -> Iterator[dict[str, Any]]:
    from mevflow.operators.label.candidates import blocks
    from mevflow.operators.label.find import find
    from mevflow.operators.label.jit import jit_liquidity

    for trades in blocks(swaps):
        at = trades[0].row
        text = _text_of(swaps.column("chain")[at].as_py())
        names = {trade.tx_index: text(swaps.column("signature")[trade.row].as_py()) for trade in trades}
        for one in find(trades, settings):
            yield _row(one, swaps.column("slot")[at].as_py(), names, text(one.token), traced=False)
    for jit in jit_liquidity(moves, swaps):
        yield _jit_row(jit, moves, swaps)


def _jit_row(one: JitLiquidity, moves: pa.RecordBatch, swaps: pa.RecordBatch) -> dict[str, Any]:
    added, removed = (moves.slice(row, 1).to_pylist()[0] for row in (one.added, one.removed))
    text = _text_of(added["chain"])
    victims = swaps.take(list(one.victims)).to_pylist()
    parts = [
        {"role": "mint", "tx": text(added["signature"]), "swap": None},
        *({"role": "victim", "tx": text(swap["signature"]), "swap": swap["ix_index"]} for swap in victims),
        {"role": "burn", "tx": text(removed["signature"]), "swap": None},
    ]
    unknown = dict.fromkeys(("start_amount_raw", "end_amount_raw", "profit_raw", "profit_token"))
    return {"kind": "jit", "block_or_slot": added["slot"], "tx": text(added["signature"]), "swaps": parts, **unknown}


def _text_of(chain: int) -> Callable[[bytes], str]:
    """How a chain writes its hashes and addresses."""
    import base58

    from mevflow.operators.chains import is_evm

    return _hex if is_evm(chain) else (lambda raw: base58.b58encode(raw).decode())


def _row(one: Found, block: int, names: dict[int, str], token: str, traced: bool) -> dict[str, Any]:
    """The keys of the output. Raw amounts are text: they outgrow what other languages read exactly as numbers."""
    from mevflow.operators.label.arbitrage import Arbitrage

    def place(trade: Trade) -> list[int] | int:
        return list(trade.place) if traced else trade.place[0]

    if isinstance(one, Arbitrage):
        kind, first = "arbitrage", one.trades[0]
        swaps: list[Any] = [place(trade) for trade in one.trades]
    else:
        kind, first = "sandwich", one.front
        parts = [*(("front", front) for front in one.fronts), *(("victim", victim) for victim in one.victims)]
        parts += [("back", back) for back in one.backs]
        swaps = [{"role": role, "tx": names[trade.tx_index], "swap": place(trade)} for role, trade in parts]
    return {
        "kind": kind,
        "block_or_slot": block,
        "tx": names[first.tx_index],
        "swaps": swaps,
        "start_amount_raw": str(one.start_amount),
        "end_amount_raw": str(one.end_amount),
        "profit_raw": str(one.profit),
        "profit_token": token,
    }


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _lines(path: Path) -> Iterator[bytes]:
    """A file's lines, unzipped if need be. Raises ParseError where it cannot be read on."""
    import gzip
    import zlib

    from mevflow.operators.parse.errors import ParseError

    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as wrong:
        raise ParseError(f"cannot be read: {wrong}", file=str(path), reason="damaged_file") from wrong
