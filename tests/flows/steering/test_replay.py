"""A replay of a steered run: the commands take effect after the same rows, so it decides the same."""

import json
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from mevflow.bench.market import SyntheticMarket
from mevflow.bench.stand import ROOT
from mevflow.flows.replay import plan as replay
from mevflow.flows.runtime.status import shard_status
from mevflow.operators.stage import StageContext
from mevflow.processes.environment import environment
from mevflow.sinks.kafka.sink import KafkaSink
from mevflow.v1.decision_pb2 import Decision

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}, recovery: {{epoch_s: 1}}}}
topologies:
  {name}:
    nodes:
      swaps: {{use: kafka.source, with: {{topic: {swaps}, start: earliest, max_rows: 2000}}}}
      updates: {{use: kafka.source, with: {{topic: {updates}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      pools: {{use: decode, from: updates, with: {{message: mevflow.v1.PoolUpdate}}}}
      found:
        use: arbitrage.detect
        from: {{swaps: decoded, updates: pools}}
        with: {{registry: {repo}/examples/pools.yaml, max_hops: 3, min_profit_usd: 0.05}}
      decided: {{use: bandit.decide, from: {{in: found.opportunities, swaps: found.swaps}}}}
      kept: {{use: discard.sink, from: decided.decisions}}
      decisions: {{use: kafka.sink, from: decided.decisions, with: {{topic: {decisions}, key: opportunity_id}}}}
      rejects: {{use: discard.sink, from: [decoded.errors, pools.errors, found.errors, decided.errors]}}
"""
ARMS = {"arms": ["0.3", "0.6", "skip"], "exploration": 0.2}


def publish(bootstrap, topic, batches, pause_s=0.0):
    settings = KafkaSink.settings_type.model_validate({"bootstrap": bootstrap, "topic": topic, "key": "pool"})
    sink = KafkaSink(settings, StageContext("test", "publish"))
    sink.open(None)
    for batch in batches:
        sink.write(batch)
        time.sleep(pause_s)
    sink.snapshot()
    sink.close()


def decided(row):
    return (row["policy"], row["policy_version"], row["arm"], round(row["propensity"], 12))


def live_decisions(shard, topic, patience_s=3.0):
    found, last = {}, time.monotonic()
    for row in shard._read(topic, Decision, 60):
        if row is None:
            if time.monotonic() - last > patience_s and found:
                break
            continue
        last = time.monotonic()
        found[row.decision_id] = (row.policy, row.policy_version, row.arm, round(row.propensity, 12))
    return found


def taken(shard, node):
    return shard_status(shard.layout, 0)["nodes"].get(node, {}).get("rows_in", 0)


@pytest.fixture
def topics(make_topic):
    return {"swaps": make_topic(partitions=1), "updates": make_topic(), "decisions": make_topic(partitions=2)}


def test_a_replay_decides_as_the_steered_run_did(make_shard, topics):
    shard = make_shard(text=FILE, repo=ROOT, **topics)
    market = SyntheticMarket(pools=60, shock_rate=0.01)
    publish(shard.bootstrap, topics["updates"], [market.updates()])
    shard.start()
    batches = [b.slice(at, 500) for b in market.swaps(40_000) for at in range(0, b.num_rows, 500)]
    third = len(batches) // 3
    acks = []
    for number, payload in enumerate(({"policy": "tip-ucb1"}, {"policy": "tip-exp3"}, None)):
        publish(shard.bootstrap, topics["swaps"], batches[number * third : (number + 1) * third], pause_s=0.005)
        shard.wait(lambda before=number: taken(shard, "kept") > 20 + 300 * before, "decisions come", 60)
        if payload is not None:
            given = json.dumps(payload | ARMS).encode()
            acks += shard.acks(shard.send("policy", number + 1, target="decided", payload=given))
            given = json.dumps({"min_profit_usd": 1.0 + number}).encode()
            acks += shard.acks(shard.send("policy", number + 1, target="found", payload=given))
    live = live_decisions(shard, topics["decisions"])
    shard.stop()
    assert all(ack.offset > 0 for ack in acks)
    assert {version for _, version, _, _ in live.values()} == {0, 1, 2}

    plan = replay.plan(shard.file, shard.topology, shard.var, "again", from_us=None, to_us=None, to_clickhouse=False)
    policies = {command.command_id for command in plan.spec.replay.commands if command.kind == "policy"}
    assert policies == {ack.command_id for ack in acks}
    assert plan.commands_lost == []
    replay.prepare(plan.spec)
    command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(plan.spec.layout.spec), "0"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    again = {
        row["decision_id"]: decided(row)
        for row in pq.read_table(plan.spec.layout.results / "Decision.parquet").to_pylist()
    }
    assert {k: v[1] for k, v in live.items()} == {k: again[k][1] for k in live if k in again}
    assert again == live
