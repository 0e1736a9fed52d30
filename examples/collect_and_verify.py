"""From an RPC URL to opportunities, each executed on the chain: all in one process, without Kafka or ClickHouse.

    python examples/collect_and_verify.py https://your-node --chain base --blocks 50

Reads the newest blocks, discovers pools, detects cycles after every event, and lets the node execute each one right
after its event. On a chain of your own, name its factories: --pairs 0x…:3000 --concentrated 0x…
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mevflow.operators.chains import id_of
from mevflow.operators.detect.settings import DetectSettings
from mevflow.operators.detect.stage import ArbitrageDetect
from mevflow.operators.errors import MevflowError
from mevflow.operators.stage import CAUGHT_UP_US, StageContext, Watermark
from mevflow.sources.evm.execution import CALLS, CycleLeg, execute
from mevflow.sources.evm.factories import managers_of
from mevflow.sources.evm.rpc import EndpointSettings, RpcNode
from mevflow.sources.evm.source import EvmSettings, EvmSource
from mevflow.v1 import market_pb2 as market

REGISTRY = Path(__file__).with_name("pools.yaml")


def opportunities(settings: EvmSettings, last: int | None) -> Iterator[dict[str, Any]]:
    """Rows that pay, block by block, up to block ``last`` (None: for ever)."""
    source = EvmSource(settings, StageContext("example", "chain"))
    detector = ArbitrageDetect(
        DetectSettings(registry=str(REGISTRY), min_profit_usd=0.0, max_hops=2), StageContext("example", "found")
    )
    source.open(None)
    try:
        while last is None or source.block is None or source.block <= last:
            given = source.poll()
            out: list[Any] = []
            for port, batch in given.batches:
                if port != "errors":
                    out += detector.process(port, batch)
            if given.watermark is not None:
                for port in ("updates", "swaps"):
                    out += detector.on_watermark(port, Watermark(CAUGHT_UP_US))
            elif not given.batches:
                time.sleep(0.05)
            for port, batch in out:
                if port == "opportunities":
                    yield from (row for row in batch.to_pylist() if not row["closed"])
    finally:
        source.close()


def executed(node: RpcNode, row: dict[str, Any]) -> str:
    """What became of an opportunity on the chain, in words."""
    legs = []
    for leg in row["legs"]:
        paid, got = (int.from_bytes(leg[name], "little") for name in ("amount_in", "amount_out"))
        call = CALLS.get(leg["venue"])
        if call is None:
            return f"not executed: pools of {market.Venue.Name(leg['venue'])} are not"
        legs.append(CycleLeg(leg["pool"], leg["mint_in"], leg["mint_out"], call, paid, got))
    try:
        done = execute(node, legs, row["slot"], row["tx_index"], managers_of(id_of(row["chain"])))
    except MevflowError as wrong:
        return f"not executed: {wrong.message}"
    told = int.from_bytes(row["gross_profit"], "little", signed=True)
    gained = done.amounts_out[-1] - legs[0].amount_in
    return f"predicted {told:,}, executed {gained:,} {done.where}{'' if gained == told else '  DIFFERENT'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line an opportunity, and the count."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("url")
    asked.add_argument("--chain", default="ethereum")
    asked.add_argument("--blocks", type=int, default=20, help="how many of the newest blocks")
    asked.add_argument("--pairs", action="append", default=[], metavar="FACTORY:FEE_PIPS")
    asked.add_argument("--concentrated", action="append", default=[], metavar="FACTORY")
    said = asked.parse_args(arguments)
    node = RpcNode(EndpointSettings(url=said.url))
    head = int(msgspec.json.decode(node.call("eth_blockNumber"), type=str), 16)
    pairs = [one.partition(":") for one in said.pairs]
    factories = [{"address": one, "kind": "pairs", "fee_pips": int(fee or 3000)} for one, _, fee in pairs]
    factories += [{"address": one, "kind": "concentrated"} for one in said.concentrated]
    settings = EvmSettings(
        chain=said.chain,
        endpoints=[{"url": said.url}],
        start=max(0, head + 1 - said.blocks),
        pools={"factories": factories},
    )
    count = 0
    for row in opportunities(settings, head):
        count += 1
        print(f"block {row['slot']} transaction {row['tx_index']}: {row['path']}: {executed(node, row)}")
    print(f"{count} opportunities in {said.blocks} blocks")
    return count


if __name__ == "__main__":
    main()
