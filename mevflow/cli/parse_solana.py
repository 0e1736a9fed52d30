"""What ``mevflow parse solana`` prints: rows of recorded transactions and accounts, file by file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.recorded import recorded_account
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.errors import ParseError
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.v1 import market_pb2 as market

_MOST_BYTES = 64 << 20
_AMOUNTS = ("amount_in", "amount_out", "reserve_a", "reserve_b", "sqrt_price_x64", "sqrt_price_x96", "liquidity")


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and the .json files of the folders, in order. Raises UsageError for a folder without any."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("*.json"))
        if not found:
            raise UsageError("no .json file in this folder", file=str(path))
        yield from found


def rows_of(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """A dict a row, with ``message`` (Swap, PoolUpdate, Account or DeadLetter) and ``file`` first."""
    errors: list[ParseError] = []
    parser = SolanaSwaps(errors.append)
    for index, file in enumerate(files):
        document = _read(file, errors)
        if isinstance(document, dict) and "owner" in document and "data" in document:
            try:
                yield {"message": "Account", "file": file.name, **recorded_account(document)}
            except AccountError as wrong:
                errors.append(ParseError(wrong.message, reason=wrong.reason))
        elif document is not None:
            parser.add(document, slot=0, tx_index=index, file=file.name)
        for batch in parser.flush():
            name = batch.schema.metadata[b"message"].decode().rpartition(".")[2]
            if name != "DeadLetter":
                yield from ({"message": name, "file": file.name, **_plain(row)} for row in batch.to_pylist())
        for error in errors:
            yield {"message": "DeadLetter", "file": file.name, "reason": error.reason, "detail": error.message}
        errors.clear()


def summary(rows: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """A line a file: how many of each, and the reasons of what was refused."""
    count: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for row in rows:
        count.setdefault(row["file"], Counter())[row["message"]] += 1
        if row["message"] == "DeadLetter":
            reasons.setdefault(row["file"], Counter())[row["reason"]] += 1
    kinds = ("Swap", "PoolUpdate", "Account", "DeadLetter")
    return [(file, *(found[kind] for kind in kinds), ", ".join(reasons.get(file, ()))) for file, found in count.items()]


def _read(file: Path, errors: list[ParseError]) -> Any:
    """The document; None where there is none, which is told in ``errors``. Raises UsageError if it cannot be read."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            errors.append(ParseError(f"more than {_MOST_BYTES >> 20} MiB is no transaction"))
            return None
        return json.loads(file.read_bytes())
    except OSError as wrong:
        raise UsageError(f"cannot be read: {wrong}", file=str(file)) from wrong
    except (ValueError, RecursionError) as wrong:
        errors.append(ParseError(f"not JSON: {type(wrong).__name__}"))
        return None


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: what is set, keys in base58, raw amounts as text, enums by name."""
    import base58

    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("chain", "timestamp_us", "slot") or (name != "kind" and value in (b"", "", 0, [], False, None)):
            continue
        if name == "venue":
            found[name] = market.Venue.Name(value).removeprefix("VENUE_").lower()
        elif name == "kind":
            found[name] = market.PoolUpdate.Kind.Name(value).removeprefix("KIND_").lower()
        elif name == "liquidity_delta":
            found[name] = str(int.from_bytes(value, "little", signed=True))
        elif name in _AMOUNTS:
            found[name] = str(int.from_bytes(value, "little"))
        else:
            found[name] = base58.b58encode(value).decode() if isinstance(value, bytes) else value
    return found
