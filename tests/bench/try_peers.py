"""Every engine in Java finds what the job in Python finds; run by ``make bench-peers``, which builds them first."""

import clickhouse_connect
import pytest

from mevflow.bench.contender import contend
from mevflow.bench.market import SyntheticMarket
from mevflow.bench.peers import contest, java_build
from mevflow.bench.peers.job import PeerJob
from mevflow.operators.codec import codec
from mevflow.operators.stage import StageContext
from mevflow.sinks.kafka.sink import KafkaSink


@pytest.fixture
def swaps(kafka_broker, make_topic):
    """A topic of one partition, which everybody reads in one order, and its messages."""
    topic, messages = make_topic(), []
    settings = KafkaSink.settings_type.model_validate({"bootstrap": kafka_broker, "topic": topic, "key": "pool"})
    sink = KafkaSink(settings, StageContext("bench", "fill"))
    sink.open(None)
    for batch in SyntheticMarket(pools=60, shock_rate=0.01).swaps(20_000):
        sink.write(batch)
        messages += codec("mevflow.v1.Swap").encode(batch).to_pylist()
    sink.snapshot()
    sink.close()
    return topic, messages


@pytest.mark.parametrize("engine", contest.ENGINES)
def test_an_engine_finds_what_the_job_in_python_finds(kafka_broker, clickhouse_server, swaps, engine):
    topic, messages = swaps
    port = clickhouse_server.port
    with clickhouse_connect.get_client(host="127.0.0.1", port=port) as client:
        job = PeerJob(client)
        for message in messages:
            job.handle(message)
        job.flush()
        client.command("TRUNCATE TABLE peer_rows")
        command = java_build.command(java_build.jars(print), engine, kafka_broker, topic, len(messages), port)
        passes = contend(engine, command, passes=2)
        assert job.found > 100
        assert [told.rows for told in passes] == [job.found] * 2
        assert client.query("SELECT count() FROM peer_rows").result_rows == [(2 * job.found,)]
