"""Tables and topics keep what the settings say, after a dry run has said what would go."""

import json
import uuid

import pytest
from click.testing import CliRunner

from mevflow.cli import cli
from mevflow.flows.config import config
from mevflow.flows.retention import tables, topics
from mevflow.flows.retention.tables import kept_days
from mevflow.kafka.topics import settings_of
from mevflow.operators.errors import UsageError

INSERT = "INSERT INTO {d}.price_feeds (timestamp, slot) SELECT toDateTime64('{t}', 6, 'UTC'), number FROM numbers({n})"


@pytest.fixture
def settings(tmp_path, monkeypatch, clickhouse_server, clickhouse_database):
    """Write ``mevflow.toml`` with a ``[retention]``."""
    monkeypatch.chdir(tmp_path)

    def write(text, bootstrap="127.0.0.1:1"):
        (tmp_path / "mevflow.toml").write_text(
            f'[kafka]\nbootstrap = "{bootstrap}"\n[clickhouse]\nport = {clickhouse_server.port}\n'
            f'database = "{clickhouse_database}"\n[retention]\n{text}\n'
        )
        config.cache_clear()

    yield write
    config.cache_clear()


def clean(*words):
    done = CliRunner().invoke(cli, ["clean", "--json", *words], catch_exceptions=False)
    return {row["what"]: row["why"] for row in json.loads(done.stdout)["removed"]}


def test_a_table_keeps_its_days_and_a_dry_run_says_what_would_go(settings, clickhouse_client, clickhouse_database):
    def rows():
        return clickhouse_client.command(f"SELECT count() FROM {clickhouse_database}.price_feeds")

    now = clickhouse_client.command("SELECT formatDateTime(now('UTC'), '%F %T')")
    for time, count in (("2024-01-05 00:00:00", 3), (now, 2)):
        clickhouse_client.command(INSERT.format(d=clickhouse_database, t=time, n=count))
    settings("tables = {price_feeds = 30, mev_decisions = 7}")
    said = clean("--dry-run")
    assert said["price_feeds"] == "kept for ever, is to be kept 30 days; 3 rows are older"
    assert said["mev_decisions"].endswith("0 rows are older")
    assert rows() == 5
    assert clean().keys() == {"price_feeds", "mev_decisions"}
    clickhouse_client.command(f"OPTIMIZE TABLE {clickhouse_database}.price_feeds FINAL")
    assert rows() == 2
    assert clean() == {}
    settings("tables = {price_feeds = 0, mev_decisions = 7}")
    assert clean() == {"price_feeds": "kept 30 days, is to be kept for ever"}
    assert clean() == {}


def test_what_has_no_chain_time_is_refused(clickhouse_client, clickhouse_database):
    for name in ("sink_claims", "raw_swaps", "none"):
        with pytest.raises(UsageError, match=f"cannot be bounded by days: {name}"):
            tables.changes(clickhouse_client, clickhouse_database, {name: 3})


def test_a_ttl_of_somebody_else_is_told():
    assert kept_days("CREATE … ORDER BY a TTL timestamp + toIntervalMonth(3) SETTINGS x = 1") == (
        "TTL timestamp + toIntervalMonth(3)"
    )


def test_a_topic_keeps_its_bytes(kafka_broker, make_topic, monkeypatch):
    name = make_topic(3)
    spec = type("Spec", (), {"name": name, "compacted": False})
    monkeypatch.setattr(topics, "TOPICS", (spec,))
    (change,) = topics.changes(kafka_broker, {name: 64})
    assert (change.wanted, change.effect) == ("64 MiB", "3 partitions: at most 192 MiB in all")
    topics.apply(kafka_broker, name, 64)
    assert settings_of(kafka_broker, [name])[name][1]["retention.bytes"] == str(64 << 20)
    assert topics.changes(kafka_broker, {name: 64}) == []
    with pytest.raises(UsageError, match="cannot be bounded by bytes"):
        topics.changes(kafka_broker, {f"t-{uuid.uuid4().hex}": 1})
