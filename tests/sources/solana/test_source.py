"""``yellowstone.source`` beside a node that drops, forgets, forks and lies late: every row once, of the right fork."""

from __future__ import annotations

import base64
import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import base58
import pytest

from mevflow.operators.errors import StateError, UsageError
from mevflow.operators.stage import StageContext
from mevflow.sources.solana import follow, slots
from mevflow.sources.solana.files import TransactionFiles
from mevflow.sources.solana.source import YellowstoneSettings, YellowstoneSource
from mevflow.v1 import geyser_pb2 as geyser
from mevflow.v1 import market_pb2 as market
from tests.sources.solana.node import Node, NodeBlock, chain, status

CONTEXT = StageContext("collect", "chain")
KINDS = market.PoolUpdate


@pytest.fixture
def node() -> Iterator[Node]:
    running = Node()
    yield running
    running.close()


def settings(node: Node, rpc: bool = True, **more: Any) -> YellowstoneSettings:
    given = {"endpoints": [{"url": node.url}], "start": 100, **more}
    return YellowstoneSettings(**given, rpc=[{"url": node.rpc, "max_rps": 1e6}] if rpc else [])


class Reading:
    """A source and what it gave; ``chain`` are the swaps that still hold."""

    def __init__(self, wanted: YellowstoneSettings, state: bytes | None = None) -> None:
        self.source = YellowstoneSource(wanted, CONTEXT)
        self.source.open(state)
        self.rows: list[tuple[str, dict[str, Any]]] = []
        self.swaps: list[dict[str, Any]] = []

    def until(self, done: Callable[[Reading], bool], seconds: float = 120) -> Reading:
        ends = time.monotonic() + seconds
        while not done(self):
            assert time.monotonic() < ends, (len(self.rows), self.source.standing())
            self.poll()
        return self

    def upto(self, slot: int) -> Reading:
        return self.until(lambda self: self.source.slot >= slot)

    def poll(self) -> None:
        for port, batch in self.source.poll().batches:
            for row in batch.to_pylist():
                self.rows.append((port, row))
                if port == "swaps":
                    self.swaps.append(row)
                elif row.get("kind") in (KINDS.KIND_REORG, KINDS.KIND_SKIPPED):
                    alone = row["kind"] == KINDS.KIND_SKIPPED
                    self.swaps = [
                        one for one in self.swaps if one["slot"] < row["slot"] or (alone and one["slot"] > row["slot"])
                    ]

    def kinds(self) -> list[int]:
        return [row["kind"] for port, row in self.rows if port == "updates"]

    def close(self) -> None:
        self.source.close()


def expected(blocks: list[NodeBlock]) -> list[tuple[int, int, int]]:
    """(slot, place in it, amount) of every swap."""
    return [(block.slot, index, amount) for block in blocks for index, amount in enumerate(block.amounts) if amount]


def given(rows: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    return [(row["slot"], row["tx_index"], int.from_bytes(row["amount_in"], "little")) for row in rows]


def test_the_stream_gives_the_rows_that_a_file_of_its_blocks_gives(node: Node, tmp_path: Path) -> None:
    blocks = chain(12)
    node.say(*(update for block in blocks for update in block.updates()))
    reading = Reading(settings(node)).upto(blocks[-1].slot)
    reading.close()
    lines = [json.dumps({"slot": block.slot, "result": block.answer()}) for block in blocks]
    (tmp_path / "blocks.jsonl").write_text("\n".join(lines))
    recorded = [row for batch in TransactionFiles([tmp_path / "blocks.jsonl"]) for row in batch.to_pylist()]
    streamed = [
        {name: value for name, value in row.items() if name != "fork" and not name.startswith("source_")}
        for port, row in reading.rows
        if port == "swaps"
    ]
    assert streamed == [{name: value for name, value in row.items() if name != "fork"} for row in recorded]
    assert given(reading.swaps) == expected(blocks)
    offsets = [row["source_offset"] for row in reading.swaps]
    assert offsets == sorted(set(offsets))
    # A beginning says so, with the number of the fork that its rows are of.
    assert reading.rows[0][1]["kind"] == KINDS.KIND_REORG
    assert {row["fork"] for _, row in reading.rows} == {reading.rows[0][1]["fork"]}


def test_from_the_newest_block_on_the_first_whole_slot_is_the_one_after(node: Node) -> None:
    blocks = chain(6)
    reading = Reading(settings(node, start="latest"))
    reading.until(lambda _: bool(node.asked))
    node.say(*blocks[0].updates()[-1:])  # its transactions were told before
    for block in blocks[1:]:
        node.say(*block.updates())
    reading.upto(blocks[-1].slot).close()
    assert given(reading.swaps) == expected(blocks[1:])


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_stream_that_drops_goes_on_after_the_last_slot(node: Node, every: int) -> None:
    blocks = chain(6)
    node.hangs_up = every + 3  # a slot has four updates at most: with fewer nothing would ever be whole
    node.say(*(update for block in blocks for update in block.updates()))
    reading = Reading(settings(node, rpc=False)).upto(blocks[-1].slot)
    reading.close()
    assert given(reading.swaps) == expected(blocks)
    assert len(node.asked) > 1


def test_what_the_stream_no_longer_has_is_fetched(node: Node) -> None:
    blocks = chain(30)
    node.blocks = {block.slot: block for block in blocks[:25]}
    node.first = blocks[20].slot
    node.say(*(update for block in blocks[:20] for update in block.updates()))
    reading = Reading(settings(node))
    for block in blocks[20:]:
        reading.until(lambda _: None in node.asked)
        node.say(*block.updates())
        reading.poll()
    reading.upto(blocks[-1].slot).close()
    assert given(reading.swaps) == expected(blocks)
    assert node.fetched[:3] == [block.slot for block in blocks[:3]]
    assert reading.kinds() == [KINDS.KIND_REORG]


def test_a_gap_that_nobody_can_fill_ends_the_shard_with_what_to_do(node: Node) -> None:
    blocks = chain(8)
    node.say(*(update for block in (*blocks[:3], *blocks[5:]) for update in block.updates()))
    reading = Reading(settings(node, rpc=False))
    with pytest.raises(StateError, match="did not give slot"):
        reading.until(lambda _: False)
    reading.close()


def test_a_gap_within_the_stream_is_fetched(node: Node) -> None:
    blocks = chain(8)
    node.blocks = {block.slot: block for block in blocks}
    node.say(*(update for block in (*blocks[:3], *blocks[5:]) for update in block.updates()))
    reading = Reading(settings(node)).upto(blocks[-1].slot)
    reading.close()
    assert given(reading.swaps) == expected(blocks)


def test_a_dead_slot_is_taken_back_alone(node: Node) -> None:
    first, dead, after = NodeBlock(100, 99, (11,)), NodeBlock(101, 100, (12,)), NodeBlock(102, 100, (13,))
    node.say(*first.updates(), *dead.updates(), status(101, geyser.SLOT_DEAD), *after.updates())
    reading = Reading(settings(node, rpc=False)).upto(102)
    reading.close()
    assert given(reading.swaps) == expected([first, after])
    assert reading.kinds() == [KINDS.KIND_REORG, KINDS.KIND_SKIPPED]
    # Whoever reads the swaps first knows by their forks which of them hold.
    assert [row["fork"] - reading.rows[0][1]["fork"] for row in reading.swaps] == [0, 1]


def test_a_slot_that_dies_before_its_end_leaves_nothing(node: Node) -> None:
    first, dead, after = NodeBlock(100, 99, (11,)), NodeBlock(101, 100, (12,)), NodeBlock(102, 100, (13,))
    node.say(*first.updates(), *dead.transactions(), status(101, geyser.SLOT_DEAD), *after.updates())
    reading = Reading(settings(node, rpc=False)).upto(102)
    reading.close()
    assert given(reading.swaps) == expected([first, after])
    assert reading.kinds() == [KINDS.KIND_REORG]


def test_a_fork_is_followed_and_its_confirmed_rival_comes_back(node: Node) -> None:
    root, left = NodeBlock(100, 99, (11,)), NodeBlock(101, 100, (12,))
    right, right_too = NodeBlock(102, 100, (13,)), NodeBlock(103, 102, (14,))
    node.say(*root.updates(), *left.updates(), *right.updates(), *right_too.updates())
    reading = Reading(settings(node, rpc=False)).upto(103)
    assert given(reading.swaps) == expected([root, right, right_too])
    last = NodeBlock(104, 101, (15,))
    node.say(status(101, geyser.SLOT_CONFIRMED), *last.updates())
    reading.upto(104).close()
    assert given(reading.swaps) == expected([root, left, last])
    assert reading.kinds() == [KINDS.KIND_REORG] * 3


def test_a_transaction_that_comes_after_its_slots_end_is_not_lost(node: Node) -> None:
    first, second = NodeBlock(100, 99, (11, 12)), NodeBlock(101, 100, (13,))
    late, early = first.transactions()
    node.say(early, first.end(), *second.updates(), late)
    reading = Reading(settings(node, rpc=False)).until(lambda self: len(self.swaps) == 3)
    reading.close()
    assert given(reading.swaps) == expected([first, second])


def test_blocks_that_come_whole_give_the_same(node: Node) -> None:
    blocks = chain(5)
    for block in blocks:
        end = block.end().block_meta
        whole = geyser.BlockUpdate(
            slot=end.slot,
            blockhash=end.blockhash,
            block_time=end.block_time,
            parent_slot=end.parent_slot,
            parent_blockhash=end.parent_blockhash,
            transactions=[update.transaction.transaction for update in block.transactions()],
        )
        node.say(geyser.SubscribeUpdate(block=whole))
    reading = Reading(settings(node, rpc=False)).upto(blocks[-1].slot)
    reading.close()
    assert given(reading.swaps) == expected(blocks)


def test_pings_are_answered_and_a_silent_stream_is_dropped(node: Node) -> None:
    blocks = chain(4)
    node.pings = 3
    node.say(*(update for block in blocks[:2] for update in block.updates()))
    reading = Reading(settings(node, rpc=False, endpoints=[{"url": node.url, "silence_s": 0.5}]))
    reading.until(lambda _: len(node.asked) > 2 and len(node.pongs) >= 3)
    assert node.pongs[:3] == [1, 2, 3]
    node.say(*(update for block in blocks[2:] for update in block.updates()))
    reading.upto(blocks[-1].slot).close()
    assert given(reading.swaps) == expected(blocks)


def test_the_token_is_read_from_a_file_or_the_environment(node: Node, tmp_path: Path, monkeypatch: Any) -> None:
    node.token = "secret-token"
    node.say(*(update for block in chain(2) for update in block.updates()))
    reading = Reading(settings(node, rpc=False))
    reading.until(lambda self: "UNAUTHENTICATED" in str(self.source.standing().notes))
    assert "secret" not in str(reading.source.standing())
    reading.close()
    (tmp_path / "token").write_text("secret-token\n")
    Reading(settings(node, endpoints=[{"url": node.url, "token_file": str(tmp_path / "token")}])).upto(101).close()
    monkeypatch.setenv("YELLOWSTONE_X_TOKEN", "secret-token")
    Reading(settings(node)).upto(101).close()
    lost = YellowstoneSource(settings(node, endpoints=[{"url": node.url, "token_file": str(tmp_path / "no")}]), CONTEXT)
    lost.open(None)
    with pytest.raises(UsageError, match="token"):
        _poll_for_ever(lost)
    lost.close()


def _poll_for_ever(source: YellowstoneSource) -> None:
    while True:
        source.poll()


def test_what_there_cannot_be_is_not_believed(node: Node) -> None:
    """Another endpoint is asked; a time of no calendar is that of the slot before."""
    blocks = chain(3)
    strange = blocks[1].end()
    strange.block_meta.block_time.timestamp = 1 << 62
    node.say(*blocks[0].updates(), *blocks[1].transactions(), strange, *blocks[2].updates())
    liar = Node()
    far = blocks[0].transactions()[0]
    far.transaction.transaction.index = 1 << 63
    far.transaction.slot = 100
    liar.say(far)
    reading = Reading(settings(node, rpc=False, endpoints=[{"url": liar.url}, {"url": node.url}]))
    reading.upto(blocks[-1].slot).close()
    liar.close()
    assert given(reading.swaps) == expected(blocks)


@pytest.mark.parametrize("whole", [False, True])
def test_more_transactions_than_a_slot_can_have_are_not_gathered(
    node: Node, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """One by one, before a slot's end and after it, or with their block: another endpoint is asked."""
    for module in (follow, slots):
        monkeypatch.setattr(module, "MOST_TRANSACTIONS", 5)
    blocks = chain(3)
    node.say(*(update for block in blocks for update in block.updates()))
    liar = Node()
    told = [blocks[0].transactions()[0] for _ in range(20)]
    for index, one in enumerate(told):
        one.transaction.transaction.index = index
    if whole:
        end = blocks[0].end().block_meta
        crowd = geyser.SubscribeUpdate()
        crowd.block.slot, crowd.block.blockhash, crowd.block.parent_slot = end.slot, end.blockhash, end.parent_slot
        crowd.block.block_time.CopyFrom(end.block_time)
        crowd.block.transactions.extend(one.transaction.transaction for one in told)
        liar.say(crowd)
    else:
        liar.say(*told[:4], blocks[0].end(), *told[4:])
    reading = Reading(settings(node, rpc=False, endpoints=[{"url": liar.url}, {"url": node.url}]))
    reading.until(lambda reading: "more than 5 transactions in slot 100" in str(reading.source.standing().notes))
    reading.upto(blocks[-1].slot).close()
    liar.close()


def test_a_first_block_of_no_time_is_not_of_the_year_1970(node: Node) -> None:
    """Another endpoint is asked, as no slot before it can lend its time."""
    blocks = chain(3)
    node.say(*(update for block in blocks for update in block.updates()))
    silent = Node()
    end = blocks[0].end()
    end.block_meta.ClearField("block_time")
    silent.say(*blocks[0].transactions(), end)
    reading = Reading(settings(node, rpc=False, endpoints=[{"url": silent.url}, {"url": node.url}]))
    reading.upto(blocks[-1].slot).close()
    silent.close()
    assert given(reading.swaps) == expected(blocks)
    assert all(row["timestamp_us"] > 0 for _, row in reading.rows)


def test_another_endpoint_stands_in(node: Node) -> None:
    blocks = chain(3)
    node.say(*(update for block in blocks for update in block.updates()))
    reading = Reading(settings(node, endpoints=[{"url": "grpc://127.0.0.1:1"}, {"url": node.url}]))
    reading.upto(blocks[-1].slot).close()
    assert given(reading.swaps) == expected(blocks)


def test_pools_are_stated_from_their_accounts_behind_the_slot_that_they_are_of(node: Node) -> None:
    snapshot = Path(__file__).parents[3] / "examples/data/whirlpool-snapshot-185759999.csv.gz"
    program = base58.b58decode("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc")
    token, pool = (
        base58.b58decode("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"),
        "HJPjoWUrhoZzkNfRpHuieeFk9WcZWjwy6PBjZ81ngndJ",
    )

    with gzip.open(snapshot, "rt") as lines:
        for line in lines:
            key, _, data = line.strip().partition(",")
            node.accounts[key] = program, base64.b64decode(data)
    account = node.accounts[pool][1]
    for at in (101, 181):
        node.accounts[base58.b58encode(account[at : at + 32]).decode()] = token, bytes(82)
    blocks = chain(6)
    node.account_slot = blocks[2].slot
    node.say(*(update for block in blocks for update in block.updates()))
    nowhere = [base58.b58encode(bytes([number]) * 32).decode() for number in (7, 8)]
    reading = Reading(settings(node, pools=[pool, *nowhere]))
    reading.upto(blocks[-1].slot).close()
    (at,) = [number for number, (_, row) in enumerate(reading.rows) if row.get("kind") == KINDS.KIND_SNAPSHOT]
    stated = reading.rows[at][1]
    assert base58.b58encode(stated["pool"]).decode() == pool
    assert stated["sqrt_price_x64"] == account[65:81]
    assert stated["slot"] == blocks[2].slot
    assert stated["known_range_set"]
    assert len(stated["ticks"]) > 10
    assert [row["slot"] for port, row in reading.rows[:at] if port == "swaps"][-1] == blocks[2].slot
    letters = [row for port, row in reading.rows if port == "errors"]
    assert [row["reason"] for row in letters] == ["no_state", "no_state"]
    assert all("no such account" in row["detail"] for row in letters)
    assert len({row["offset"] for row in letters}) == 2, "of two letters at one place a table keeps one"


def test_a_restart_anywhere_gives_every_row_once_through_forks(node: Node) -> None:
    """At each of many random places the source is closed and opened at its snapshot, while the chain forks."""
    chance = random.Random(5)
    standing, parent, slot = [], 99, 100
    for number in range(40):
        block = NodeBlock(slot, parent, (slot * 10 + 1, slot * 10 + 2))
        node.say(*block.updates())
        if number and number % 5 == 0:  # the next leader does not build on this one
            node.say(*([status(slot, geyser.SLOT_DEAD)] if chance.random() < 0.5 else []))
        else:
            standing.append(block)
            parent = slot
        slot += 1
    reading, kept = Reading(settings(node, rpc=False)), []
    while reading.source.slot < slot - 1:
        for _ in range(chance.randrange(1, 12)):
            reading.poll()
        state = reading.source.snapshot()
        kept += reading.rows
        reading.close()
        swaps = reading.swaps
        slot_then = reading.source.slot
        reading = Reading(settings(node, rpc=False), state)
        reading.swaps, reading.source.slot = swaps, slot_then
    reading.close()
    assert given(reading.swaps) == expected(standing)
    places = [(row["fork"], row["source_offset"]) for port, row in kept if port == "swaps"]
    assert len(places) == len(set(places))
