"""One writer a lineage: a claim that gives the next epoch, and a fence that no earlier one can pass.

A lineage is (topology, run, node, shard). Each ``open`` claims it: (1) the next epoch is added to ``sink_claims``,
and taken again if another process took the same; (2) every earlier epoch is added to ``sink_fences``. Each table has a
CHECK that looks there for the row's ``ingest_by``, so the engine itself refuses the INSERT of a fenced writer when
it is about to store it, whenever it was sent. Both tables are only ever added to, so a process that was stopped
anywhere and wakes lowers no fence. If it stood inside of its own claim, it takes a later epoch and fences the other.

The engine that is spoken to is the judge: shards that are to fence each other write to one ClickHouse server.
"""

from __future__ import annotations

import os
import random
import socket
import time
import uuid
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from mevflow.operators.errors import StateError
from mevflow.processes.fail_points import passed

#: Name of the CHECK in every table of the sink.
CONSTRAINT = "fence"
_EPOCH_SHIFT = 32


class FencedError(StateError):
    """Another process has claimed the lineage: this one may write no more."""


@dataclass(frozen=True, slots=True)
class SinkClaim:
    """``lineage`` under ``epoch``, in ``database``."""

    database: str
    lineage: str
    epoch: int

    @property
    def writer(self) -> str:
        """What stands in ``ingest_by``."""
        return f"{self.lineage}#{self.epoch}"

    @property
    def first_seq(self) -> int:
        """Blocks are numbered from here on, above those of every earlier epoch."""
        return (self.epoch << _EPOCH_SHIFT) + 1

    def check(self, client: Client) -> None:
        """Raise FencedError if a later epoch is claimed. If none is, no INSERT that has ended met a fence."""
        latest = _latest(client, self.database, self.lineage)
        if latest > self.epoch:
            raise self.fenced(latest)

    def fenced(self, latest: int | None = None) -> FencedError:
        """The error to raise when this claim has been superseded."""
        who = "a later epoch" if latest is None else f"epoch {latest}"
        return FencedError(
            f"another process writes as {self.lineage} now: {who} is claimed, this is epoch {self.epoch}",
            hint="leave it to that one; who claimed what stands in the table sink_claims",
            key=self.lineage,
        )


def claim(client: Client, database: str, lineage: str, above_seq: int = 0) -> SinkClaim:
    """Claim ``lineage`` under an epoch whose numbers lie above ``above_seq``, and fence all earlier ones."""
    token = uuid.uuid4().hex
    above = above_seq >> _EPOCH_SHIFT
    while True:
        epoch = max(_latest(client, database, lineage), above) + 1
        client.command(
            f"INSERT INTO {database}.sink_claims (lineage, epoch, token, host, pid) "
            "SELECT {lineage:String}, {epoch:UInt32}, {token:String}, {host:String}, {pid:UInt32}",
            parameters={
                "lineage": lineage,
                "epoch": epoch,
                "token": token,
                "host": socket.gethostname(),
                "pid": os.getpid(),
            },
        )
        takers = client.query(
            f"SELECT DISTINCT token FROM {database}.sink_claims WHERE lineage = {{lineage:String}} "
            "AND epoch = {epoch:UInt32}",
            parameters={"lineage": lineage, "epoch": epoch},
        ).result_rows
        if len(takers) == 1:
            break
        time.sleep(random.uniform(0, 0.05))
    passed("sink claimed")
    # Rows of before there were epochs have the lineage alone.
    client.command(
        f"INSERT INTO {database}.sink_fences SELECT {{lineage:String}}, 1 UNION ALL "
        f"SELECT DISTINCT concat(lineage, '#', toString(epoch)), 1 FROM {database}.sink_claims "
        "WHERE lineage = {lineage:String} AND epoch < {epoch:UInt32}",
        parameters={"lineage": lineage, "epoch": epoch},
    )
    return SinkClaim(database, lineage, epoch)


def _latest(client: Client, database: str, lineage: str) -> int:
    found = client.query(
        f"SELECT max(epoch) FROM {database}.sink_claims WHERE lineage = {{lineage:String}}",
        parameters={"lineage": lineage},
    ).result_rows
    return int(found[0][0])
