"""One collector of a chain into a topic: another one, and another shard of one, would bring every message twice."""

import time

import pytest

from mevflow.flows.engine.meter import Meter
from mevflow.flows.runtime import change, deploy, shard
from mevflow.flows.runtime.lease import Wakefulness
from mevflow.flows.spec.resolve import collected, resolve, undivided
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import MevflowError, UsageError

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}, control: {{enabled: false}}}}
topologies:
  {name}:
    nodes:
      chain: {{use: evm.source, with: {{chain: {chain}, endpoints: [{{url: "http://127.0.0.1:1"}}]}}}}
      swaps: {{use: kafka.sink, from: chain.swaps, with: {{topic: {topic}, key: pool}}}}
      rest: {{use: discard.sink, from: [chain.updates, chain.errors]}}
"""


@pytest.fixture
def prepared(tmp_path, kafka_broker, make_topic):
    topics = make_topic(1), make_topic(1)

    def prepare(name, chain="base", topic=0, shards=None, takeover=False):
        file = tmp_path / f"{name}.yaml"
        file.write_text(FILE.format(bootstrap=kafka_broker, name=name, chain=chain, topic=topics[topic]))
        return deploy.prepare(file, name, tmp_path / "var", shards=shards, fresh=False, takeover=takeover)

    return prepare


def test_a_chain_is_collected_into_a_topic_once(prepared):
    with deploy.claimed(prepared("one")) as (ready, _, leases):
        assert len(leases) == len(ready.collecting) + 1 == 2
        with (
            pytest.raises(UsageError, match="every message would come twice: held by deploy") as refused,
            deploy.claimed(prepared("two")),
        ):
            pass
        assert "base into" in str(refused.value)
        with deploy.claimed(prepared("of-another-chain", chain="arbitrum")) as (_, _, others):
            for lease in others:
                lease.release()
        with deploy.claimed(prepared("elsewhere", topic=1)) as (_, _, others):
            for lease in others:
                lease.release()
        with deploy.claimed(prepared("heir", takeover=True)) as (_, _, heirs):
            for lease in heirs:
                lease.release()
    with deploy.claimed(prepared("two")) as (ready, _, leases):  # whoever was refused held nothing
        assert ready.collecting
        for lease in leases:
            lease.release()


def test_a_collector_has_one_shard(prepared):
    with pytest.raises(UsageError, match="one has 2 shards, and each would give all that chain brings"):
        prepared("one", shards=2)


def test_a_collector_gets_no_second_shard_afterwards(prepared, tmp_path):
    """It has no position yet that could not be divided."""
    prepared("one").save()
    with pytest.raises(UsageError, match="one has 2 shards, and each would give all that chain brings"):
        change.rescale("one", tmp_path / "var", 2)


def test_a_shard_holds_what_it_collects_when_its_supervisor_has_died(prepared):
    """An orphan goes on collecting: until it ends, nobody else may."""
    with deploy.claimed(prepared("orphan")) as (ready, _, leases):
        held = shard._leases(ready, Meter(None, {}))
        assert [each.record for each in held] == [each.record for each in leases]
        for lease in (*held, *leases):
            lease.leave()


def test_a_shard_that_slept_asks_for_what_it_collects_too(prepared):
    """Its topology has no successor; another one collects the chain now."""
    with deploy.claimed(prepared("sleeper")) as (ready, _, leases):
        awake = Wakefulness(ready.claims, ready.held, limit_s=0.0)
        time.sleep(0.01)
        awake()
        with deploy.claimed(prepared("waker", takeover=True)) as (_, _, heirs):
            time.sleep(0.01)
            with pytest.raises(MevflowError, match="taken over"):
                awake()
            for lease in (*leases, *heirs):
                lease.release()


def test_what_is_collected_and_what_can_be_divided(tmp_path):
    shipped = load(deploy.config().topologies)
    assert collected(resolve(shipped, "collect")) == (
        "ethereum into dex-swaps-proto",
        "ethereum into pool-updates-proto",
    )
    assert undivided(resolve(shipped, "collect")) == ["chain"]
    for name in ("detect-live", "archive"):
        assert (collected(resolve(shipped, name)), undivided(resolve(shipped, name))) == ((), [])
