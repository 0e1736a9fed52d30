"""What a replay keeps: every wire's rows once, also of a topology whose sinks all speak to live readers."""

import pyarrow.parquet as pq

from mevflow.cli.replay import carry_out
from mevflow.flows.replay.diff import diff
from mevflow.flows.replay.plan import plan
from mevflow.v1.market_pb2 import Swap

_HEAD = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}}}
topologies:
  copies:
    control: {{enabled: false}}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: "{topic}", start: earliest}}}}
      others: {{use: kafka.source, with: {{topic: "{other}", start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      pools: {{use: decode, from: others, with: {{message: mevflow.v1.PoolUpdate}}}}
"""
_LIVE = """\
      copy: {{use: kafka.sink, from: decoded, with: {{topic: "{other}", key: pool}}}}
      again: {{use: kafka.sink, from: [decoded, pools], with: {{topic: "{other}"}}}}
      rejects: {{use: dlq.sink, from: [decoded.errors, pools.errors], with: {{topic: "{other}"}}}}
"""
_KEPT = """\
      store: {{use: discard.sink, from: [decoded, decoded.errors, pools]}}
      more: {{use: discard.sink, from: [decoded.errors, pools.errors]}}
"""
_HOUR_US = 3_600_000_000


def _swap(number):
    return Swap(chain=1, slot=number + 1, timestamp_us=_HOUR_US + number, pool=b"p" * 32).SerializeToString()


def _run(broker, folder, make_topic, send, sinks, run_ids):
    topic, other = make_topic(), make_topic()
    values = [b"\xff" if number % 5 == 4 else _swap(number) for number in range(20)]
    send(topic, [(0, _HOUR_US // 1000, value) for value in values])
    send(other, [(0, _HOUR_US // 1000, b"\xff")] * 3)
    file = folder / "topologies.yaml"
    file.write_text((_HEAD + sinks).format(bootstrap=broker, topic=topic, other=other))
    found = []
    for run_id in run_ids:
        made = plan(file, "copies", folder / "var", run_id, from_us=None, to_us=None)
        outcome = carry_out(made, quiet=True)
        found.append((made, {each["message"]: each["rows"] for each in outcome["results"]}))
    return found


def test_a_topology_with_kafka_sinks_alone_leaves_what_they_would_have_sent(kafka_broker, make_topic, send, tmp_path):
    (one, rows), (two, again) = _run(kafka_broker, tmp_path, make_topic, send, _LIVE, ("one", "two"))
    assert one.left_out == ["copy", "again", "rejects"]
    assert one.only_files
    assert rows == again == {"Swap": 16, "DeadLetter": 7}
    folders = [each.spec.layout.root for each in (one, two)]
    assert diff(*folders, ("one", "two")).equal


def test_two_sinks_of_one_message_lose_nothing_of_each_other(kafka_broker, make_topic, send, tmp_path):
    ((made, rows),) = _run(kafka_broker, tmp_path, make_topic, send, _KEPT, ("one",))
    assert rows == {"DeadLetter": 7}, "the input is no result"
    letters = pq.read_table(made.spec.layout.results / "DeadLetter.parquet")
    assert sorted(set(letters["stage"].to_pylist())) == ["decoded", "pools"]
