"""Two replays held against each other: rows that only one has, fields that differ, where they part first.

Result files are compared row by row. A row is known by its message's identity (a deterministic id where it has one,
else its place in the chain), so runs of two versions of the logic can be compared too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mevflow.flows.runtime.layout import Layout
from mevflow.operators.codec import COORDINATES
from mevflow.operators.errors import UsageError

#: What a row of a message is known by; columns that a file does not have are left out.
_IDENTITY = {
    "Opportunity": ("opportunity_id",),
    "Decision": ("decision_id",),
    "Lineage": ("decision_id",),
    "Outcome": ("decision_id", "kind"),
    "Counterfactual": ("decision_id", "arm", "estimator"),
    "BanditEvent": ("decision_id", "kind"),
}
_PLACE = ("chain", "slot", "tx_index", "ix_index", "pool", "mint", "kind", *COORDINATES.names)
_TIME = ("timestamp_us", "chain", "slot", "tx_index", "ix_index")
_PROFIT = "net_profit_usd"
#: Differing rows that are shown of each kind.
SHOWN = 20

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that both have, and its fields that differ: name -> (first run's, second run's)."""

    message: str
    key: Key
    fields: dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class MessageDiff:
    """One message's rows. ``only_first`` and ``only_second`` hold the rows that the other run does not have."""

    message: str
    rows: tuple[int, int]
    only_first: list[dict[str, Any]] = field(default_factory=list)
    only_second: list[dict[str, Any]] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not (self.only_first or self.only_second or self.changed)

    @property
    def fields(self) -> Counter[str]:
        """How many rows differ in each field."""
        return Counter(name for row in self.changed for name in row.fields)


@dataclass(slots=True)
class ReplayDiff:
    """All messages; ``profit_usd`` is the sum of net profits of each run's opportunities, ``first`` where they part."""

    runs: tuple[str, str]
    messages: list[MessageDiff]
    profit_usd: tuple[float, float]
    first: dict[str, Any] | None

    @property
    def equal(self) -> bool:
        return all(message.equal for message in self.messages)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "runs": list(self.runs),
            "equal": self.equal,
            "profit_usd": list(self.profit_usd),
            "profit_difference_usd": self.profit_usd[1] - self.profit_usd[0],
            "first_divergence": self.first,
            "messages": [
                {
                    "message": one.message,
                    "rows": list(one.rows),
                    "only_first": len(one.only_first),
                    "only_second": len(one.only_second),
                    "changed": len(one.changed),
                    "changed_fields": dict(one.fields.most_common()),
                    "examples": {
                        "only_first": [_plain(row) for row in one.only_first[:SHOWN]],
                        "only_second": [_plain(row) for row in one.only_second[:SHOWN]],
                        "changed": [
                            {"key": _plain(row.key), "fields": _plain(row.fields)} for row in one.changed[:SHOWN]
                        ],
                    },
                }
                for one in self.messages
            ],
        }


def folder_of(var: Path, run_id: str, topology: str | None = None) -> Path:
    """The results of a run. Raises UsageError when there are none, or of several topologies and none is named."""
    found = [path for path in sorted((var / "replay").glob(f"*/{run_id}/results")) if path.is_dir()]
    if topology is not None:
        found = [path for path in found if path == Layout.replay(var, topology, run_id).results]
    if not found:
        where = f"{var}/replay" if topology is None else f"{var}/replay/{topology}"
        raise UsageError(f"no results of a run {run_id!r} under {where}", hint="mevflow replay NAME --run-id …")
    if len(found) > 1:
        names = ", ".join(path.parent.parent.name for path in found)
        raise UsageError(f"several topologies have a run {run_id!r}: {names}", hint="name one with --topology")
    return found[0]


def diff(first: Path, second: Path, runs: tuple[str, str] = ("first", "second")) -> ReplayDiff:
    """Compare the result files of two folders."""
    names = sorted({path.stem for folder in (first, second) for path in folder.glob("*.parquet")})
    messages: list[MessageDiff] = []
    profit = [0.0, 0.0]
    parted: list[tuple[tuple[int, ...], dict[str, Any]]] = []
    for name in names:
        tables = [_rows(folder / f"{name}.parquet") for folder in (first, second)]
        one = _compare(name, tables[0], tables[1], parted)
        messages.append(one)
        if name == "Opportunity":
            profit = [sum(row[_PROFIT] for row in table) for table in tables]
    where = min(parted, key=lambda found: found[0])[1] if parted else None
    return ReplayDiff(runs, messages, (profit[0], profit[1]), where)


def _rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist() if path.exists() else []


def _compare(
    name: str,
    first: list[dict[str, Any]],
    second: list[dict[str, Any]],
    parted: list[tuple[tuple[int, ...], dict[str, Any]]],
) -> MessageDiff:
    found = MessageDiff(name, (len(first), len(second)))
    others = dict(_keyed(name, second))
    for key, row in _keyed(name, first):
        other = others.pop(key, None)
        if other is None:
            found.only_first.append(row)
            parted.append((_time(row), _place(name, key, row, "only in the first")))
            continue
        fields = {
            each: (row.get(each), other.get(each))
            for each in sorted({*row, *other})
            if not _same(row.get(each), other.get(each))
        }
        if fields:
            found.changed.append(Changed(name, key, fields))
            parted.append((_time(row), _place(name, key, row, f"differs in {', '.join(fields)}")))
    for key, row in others.items():
        found.only_second.append(row)
        parted.append((_time(row), _place(name, key, row, "only in the second")))
    return found


def _keyed(name: str, rows: list[dict[str, Any]]) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Rows by identity; rows that share one are numbered."""
    seen: Counter[Key] = Counter()
    for row in rows:
        key = tuple(row[column] for column in _IDENTITY.get(name, _PLACE) if column in row)
        yield (*key, seen[key]), row
        seen[key] += 1


def _same(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)  # a NaN is like another


def _time(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row.get(name) or 0 for name in _TIME)


def _place(name: str, key: Key, row: dict[str, Any], how: str) -> dict[str, Any]:
    where = {column: row[column] for column in _TIME if column in row}
    return {"message": name, "key": _plain(key), "how": how, **where}


def _plain(value: Any) -> Any:
    """As JSON can have it: bytes as hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
