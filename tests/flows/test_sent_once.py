"""A shard that is killed twice before its first snapshot: what it gives to Kafka stands there once."""

import signal
import subprocess
import sys
import time

from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.spec import RunSpec, shape_of
from mevflow.flows.runtime.status import shard_status
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.kafka.topics import listing
from mevflow.processes.environment import environment
from tests.flows.test_poison import swap

FILE = """\
version: 1
defaults: {{kafka: {{bootstrap: "{bootstrap}"}}, recovery: {{epoch_s: 3600}}}}
topologies:
  copied:
    control: {{enabled: false}}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: {topic}, start: earliest}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      copy: {{use: kafka.sink, from: decoded, with: {{topic: {copy}, key: pool, dead_letters: {dlq}}}}}
      rejects: {{use: dlq.sink, from: decoded.errors, with: {{topic: {dlq}}}}}
"""
ROWS = 60


def test_two_kills_before_the_first_snapshot_double_nothing(kafka_broker, make_topic, send, tmp_path):
    topic, copy, dlq = make_topic(2), make_topic(2), make_topic(1)
    file = tmp_path / "t.yaml"
    file.write_text(FILE.format(bootstrap=kafka_broker, topic=topic, copy=copy, dlq=dlq))
    layout = Layout.live(tmp_path / "var", "copied").make()
    shape = shape_of(resolve(load(file), "copied"))
    spec = RunSpec(str(file), "copied", str(layout.root), str(tmp_path / "var"), 1, shape, epoch_s=3600).save()
    lives = [[swap(n) for n in range(life * ROWS, life * ROWS + ROWS)] + [b"\xff" * 9] for life in range(3)]

    def stand(name):
        (found,) = listing(kafka_broker, [name])
        return found.messages

    def done(pid):
        status = shard_status(layout, 0)
        return status.get("pid") == pid and status.get("caught_up")

    for life, values in enumerate(lives):
        send(topic, [(n % 2, 1_650_000_000_000 + life * ROWS + n, value) for n, value in enumerate(values)])
        want = (life + 1) * ROWS, life + 1
        with layout.log(0).open("ab") as log:
            command = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(spec), "0"]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        try:
            deadline = time.monotonic() + 90
            while (stand(copy), stand(dlq)) < want or not done(process.pid):
                assert process.poll() is None, layout.log(0).read_text()
                assert time.monotonic() < deadline, (want, stand(copy), stand(dlq), str(shard_status(layout, 0)))
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGTERM if life == 2 else signal.SIGKILL)
            process.wait(60)
    assert (stand(copy), stand(dlq)) == (3 * ROWS, 3), layout.log(0).read_text()
