"""Model swaps under load: nothing is lost or decided twice, and no model decides after another took its place.

As in ``mevflow bench kill`` a process of its own sends synthetic swaps at the rate. This one gives ``bandit.decide``
two registered models in turn, by commands that carry their ids, and reads the shard's answers. Afterwards every episode
of the detector's opportunities must have its first decision, once, and the models must take turns in chain order at
most as often as they were swapped. Setting the former model again is what a rollback sends.
"""

from __future__ import annotations

import json
import time
import uuid
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mevflow.bench.kill import CommandAnswers, send_pools, sender
from mevflow.bench.latency import TOPOLOGY
from mevflow.bench.stand import ROOT, Stand, stand
from mevflow.flows.steering.protocol import COMMANDS, command_key

RATE = 20_000
SWAPS = 100
SWAP_S = 0.1
WARM_S = 20.0
BAR_MS = 1_000.0
NAME = "latency"
TARGET = "decided@solana"
OPPORTUNITIES, DECISIONS = "swap-opportunities", "mev-decisions"
_SINK = f"""\
      opportunities:
        use: kafka.sink
        from: found.opportunities
        with: {{{{topic: {OPPORTUNITIES}, key: opportunity_id, linger_ms: 0}}}}
"""


def run(rate: int = RATE, swaps: int = SWAPS) -> dict[str, Any]:
    """Deploy, send at ``rate``, swap ``swaps`` times; what was lost, doubled or late, and how long answers took."""
    from mevflow.flows.runtime import deploy
    from mevflow.kafka.topics import TopicSpec, create

    with stand(clickhouse=False) as place:
        file = place.folder / "swap.yaml"
        file.write_text((TOPOLOGY + _SINK).format(bootstrap=place.bootstrap, root=ROOT))
        var = place.folder / "var"
        models = _models(place)
        create(place.bootstrap, (TopicSpec(OPPORTUNITIES, 8),))
        send_pools(place)
        deploy.start(deploy.prepare(file, NAME, var, shards=None, fresh=False))
        try:
            total = int(rate * (WARM_S + swaps * SWAP_S + 1.0))
            sending = sender(place.bootstrap, str(rate), str(total))
            assert sending.stdout is not None
            sending.stdout.readline()  # all swaps are made: it begins
            took_ms, refusals = _swap(place.bootstrap, models, swaps)
            sent = json.loads(sending.communicate(timeout=300)[0])
        finally:
            deploy.stop(NAME, var)  # it ends when all has been decided on and written
        decisions = _rows(place.bootstrap, DECISIONS, "mevflow.v1.Decision")
        opportunities = _rows(place.bootstrap, OPPORTUNITIES, "mevflow.v1.Opportunity")
    if refusals:
        raise RuntimeError(f"a swap was refused: {refusals[0]}")
    return {"bench": "swap", "figures": _figures(took_ms, decisions, opportunities, total / sent["seconds"], rate)}


def _models(place: Stand) -> list[str]:
    """Two registered states of the stage's policy, taught different things; gives their ids."""
    from mevflow.flows.registry import ModelMeta, ModelRegistry
    from mevflow.operators.decide.settings import BanditSettings

    registry, spec = ModelRegistry(place.folder / "var" / "models"), BanditSettings().spec
    found = []
    for seed in range(2):
        rng, policy = np.random.default_rng(seed), spec.make()
        x = np.column_stack([np.ones(200), rng.normal(size=(200, spec.features - 1))])
        policy.update(x, rng.integers(0, len(spec.arms), 200), rng.uniform(-1.0, 1.0, 200), np.ones(200))
        meta = ModelMeta(name=f"model-{seed}", kind="policy", learner=spec.policy, chain="solana", lessons=200)
        found.append(registry.save(policy.snapshot(1), meta).id)
    return found


def _swap(bootstrap: str, models: list[str], swaps: int) -> tuple[list[float], list[str]]:
    """Swap in turn; milliseconds from each command to the shard's answer, and refusals."""
    from confluent_kafka import Producer

    from mevflow.operators.decide.settings import BanditSettings
    from mevflow.v1.control_pb2 import ControlCommand

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
    answers = CommandAnswers(bootstrap)

    def send(kind: str, target: str, version: int, payload: bytes = b"") -> tuple[str, float]:
        command = ControlCommand(
            command_id=uuid.uuid4().hex, topology=NAME, kind=kind, target=target, version=version, payload=payload,
            nonce=uuid.uuid4().bytes,
        )  # fmt: skip
        began = time.time()
        producer.produce(COMMANDS, command.SerializeToString(), key=command_key(NAME, kind, target))
        producer.poll(0)
        return command.command_id, began

    for beat in range(int(WARM_S)):
        send("pulse", "", beat + 1)
        time.sleep(1.0)
    sent = {}
    for number in range(swaps):
        payload = {"policy": BanditSettings().policy, "id": models[number % 2], "chain": "solana"}
        identifier, began = send("model", TARGET, number + 1, json.dumps(payload).encode())
        sent[identifier] = began
        time.sleep(max(0.0, began + SWAP_S - time.time()))
    producer.flush(10)
    at = answers.close(set(sent))
    return [1000 * (at[identifier] - began) for identifier, began in sent.items()], answers.refusals


def _rows(bootstrap: str, topic: str, message: str) -> pa.Table:
    """All messages of a topic, in chain order."""
    from confluent_kafka import Consumer, TopicPartition

    from mevflow.kafka.topics import listing
    from mevflow.operators.codec import codec

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    (held,) = listing(bootstrap, [topic])
    consumer.assign([TopicPartition(topic, number, 0) for number in held.ends])
    values: list[bytes] = []
    while len(values) < held.messages:
        values += [one.value() or b"" for one in consumer.consume(1_000, 1.0) if one.error() is None]
    consumer.close()
    table = pa.Table.from_batches([codec(message).decode(pa.array(values, pa.binary()))])
    return table.sort_by([(name, "ascending") for name in ("slot", "tx_index", "ix_index")])


def _figures(
    took_ms: list[float], decisions: pa.Table, opportunities: pa.Table, real: float, rate: int
) -> list[dict[str, Any]]:
    ids = decisions.column("decision_id").to_pylist()
    models = decisions.column("model_id").to_pylist()
    # The first decision of an episode answers to its first row.
    opened = set(opportunities.filter(opportunities.column("new_episode")).column("opportunity_id").to_pylist())
    decided = set(decisions.filter(pc.equal(decisions.column("attempt"), 0)).column("opportunity_id").to_pylist())
    turns = sum(one != other for one, other in pairwise(models))
    swapped = len(took_ms)
    found = [
        _figure("messages sent a second", real, "messages/s", f"asked: {rate}", real / rate),
        _figure("decisions", len(ids), "decisions", None, None),
        _figure("episodes without a decision", len(opened - decided), f"of {len(opened):,}", "bar: 0", None),
        _figure("decisions made twice", len(ids) - len(set(ids)), "decisions", "bar: 0", None),
        _figure("swaps", swapped, "swaps", None, None),
        _figure("changes of the model, in chain order", turns, "changes", f"at most {swapped}", None),
    ]
    for name, share in (("P50", 50), ("P99", 99), ("max", 100)):
        value = float(np.percentile(took_ms, share))
        found.append(_figure(f"command to answer, {name}", value, "ms", f"bar: {BAR_MS:g} ms", value / BAR_MS))
    return found


def _figure(name: str, value: float, unit: str, against: str | None, ratio: float | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}
