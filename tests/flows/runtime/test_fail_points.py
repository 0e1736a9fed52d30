"""A shard that dies between any two steps of the protocols: what comes after has every row once."""

import os
import signal
import subprocess
import sys

import pytest

from mevflow.flows.runtime import deploy
from mevflow.flows.runtime.status import shard_status
from mevflow.processes.environment import environment
from mevflow.processes.fail_points import VARIABLE
from tests.flows.runtime.streams import copied, records, stored, wait

#: In the order of a shard's life. Each dies where no snapshot has been kept since the death before, or where one has.
_PLACES = (
    "sink claimed",
    "sink fenced",
    "sink opened",
    "sink stored",
    "sink stored:2",
    "sink flushed",
    "kafka flushed",
    "sink snapshot",
    "sink given:2",
    "read ahead:3",
    "stage snapshot",
    "source snapshot:2",
)
_EACH = 28
#: So many come at once that the source has read more than it has given.
_MANY = {"read ahead:3": 28_000}


def _run(spec, place=""):
    log = spec.layout.log(0).open("ab")
    words = [sys.executable, "-m", "mevflow.flows.runtime.shard", str(spec.layout.spec), "0", str(os.getpid())]
    return subprocess.Popen(words, env=environment() | {VARIABLE: place}, stdout=log, stderr=log)


def test_one_death_after_the_other_at_every_place(make_copies, kafka_broker, clickhouse_client, send, tmp_path):
    file, copy, database = make_copies("dying")
    spec = deploy.prepare(file, "dying", tmp_path / "var", shards=1, fresh=False)
    spec.save()
    sent = 0
    for place in _PLACES:
        count = _MANY.get(place, _EACH)
        send(make_copies.topic, records(sent, count))
        sent += count
        process = _run(spec, place)
        assert process.wait(240) == -signal.SIGKILL, place
        for rows in [*stored(clickhouse_client, database), copied(kafka_broker, copy)]:
            assert set(rows.values()) <= {1}, place
    process = _run(spec)
    wait(lambda: shard_status(spec.layout, 0).get("pid") == process.pid and _caught_up(spec), "all is read")
    process.send_signal(signal.SIGTERM)
    assert process.wait(240) == 0
    swaps, letters = stored(clickhouse_client, database)
    assert (swaps.total(), len(swaps)) == (sent * 6 // 7, sent * 6 // 7)
    assert (letters.total(), len(letters)) == (sent // 7, sent // 7)
    messages = copied(kafka_broker, copy)
    assert (messages.total(), len(messages)) == (sent * 6 // 7, sent * 6 // 7)


def _caught_up(spec):
    said = shard_status(spec.layout, 0)
    return said.get("state") == "running" and said.get("caught_up") and not said.get("behind")


@pytest.mark.parametrize("asked", ["", "elsewhere", "here:3"])
def test_a_place_that_is_not_asked_for_is_passed(asked):
    code = "from mevflow.processes.fail_points import passed; passed('here'); passed('here'); print('alive')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment() | {VARIABLE: asked})
    assert found.stdout == b"alive\n"
