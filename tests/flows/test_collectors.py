"""One collector of a chain into a topic: another one, and another shard of one, would bring every message twice."""

import pytest

from mevflow.flows.runtime import deploy
from mevflow.flows.spec.resolve import collected, resolve, undivided
from mevflow.flows.spec.topology import load
from mevflow.operators.errors import UsageError

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


def test_what_is_collected_and_what_can_be_divided(tmp_path):
    shipped = load(deploy.config().topologies)
    assert collected(resolve(shipped, "collect")) == (
        "ethereum into dex-swaps-proto",
        "ethereum into pool-updates-proto",
    )
    assert undivided(resolve(shipped, "collect")) == ["chain"]
    for name in ("detect-live", "archive"):
        assert (collected(resolve(shipped, name)), undivided(resolve(shipped, name))) == ((), [])
