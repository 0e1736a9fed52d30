"""Every client of the project reaches a broker by TLS, SASL and client certificates; who is refused is told why."""

import gzip
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from mevflow.flows.config import KafkaConfig
from mevflow.flows.runtime.claim_log import held_now
from mevflow.flows.spec.preflight import broker_topics
from mevflow.kafka import broker, security, topics
from mevflow.kafka.security import KafkaSecurity, reach, reach_by_python
from mevflow.operators.errors import UnreachableError, UsageError
from mevflow.processes.addresses import free_port
from mevflow.processes.private import read_secret
from tests.flows.test_claims import wait_for
from tests.kafka.secured import PASSWORD, secured_broker

ROOT = Path(__file__).resolve().parents[2]
RELAY = """\
version: 1
defaults:
  kafka: {bootstrap: "${KAFKA_BOOTSTRAP}"}
  recovery: {epoch_s: 0.3}
topologies:
  relay:
    nodes:
      swaps:   {use: kafka.source, with: {topic: dex-swaps-proto, start: earliest}}
      decoded: {use: decode, from: swaps, with: {message: mevflow.v1.Swap}}
      again:   {use: kafka.sink, from: decoded, with: {topic: realtime-proto, key: pool}}
      rejects: {use: dlq.sink, from: decoded.errors}
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with secured_broker(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture(autouse=True)
def plain_again():
    yield
    security.use(None)


@pytest.mark.parametrize("how", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "certificate"])
def test_admin_consumer_producer_and_claims_are_let_in(secured, how):
    ways = {"certificate": secured.by_certificate, "OAUTHBEARER": secured.by_token}
    mine = ways[how]() if how in ways else secured.by_password(how)
    security.use(mine)
    assert broker.answers(mine.bootstrap, 20)
    topics.create(mine.bootstrap)
    assert len(topics.listing(mine.bootstrap)) == len(topics.TOPICS)
    assert topics.settings_of(mine.bootstrap, ["dlq"])["dlq"][0] == 4
    assert broker_topics(mine.bootstrap)["dlq"] == 4
    assert held_now(mine.bootstrap) == {}


def test_who_is_refused_is_told_why(secured, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    security.use(secured.by_password("SCRAM-SHA-512", password_file=str(tmp_path / "wrong")))
    with pytest.raises(UnreachableError, match=r"does not let this client in .*SASL") as refused:
        broker_topics(secured.sasl)
    assert "PASSWORD_FILE" in refused.value.hint
    security.use(secured.by_token(password_file=str(tmp_path / "wrong")))
    with pytest.raises(UnreachableError, match="does not let this client in"):
        broker_topics(secured.sasl)
    with pytest.raises(UnreachableError, match=r"token server http://127.0.0.1:\d+/token answers 401") as refused:
        topics.create(secured.sasl)
    assert "TOKEN_URL" in refused.value.hint
    security.use(secured.by_password("PLAIN", ca=""))
    with pytest.raises(UnreachableError, match=r"does not let this client in .*certificate"):
        broker_topics(secured.sasl)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "OAUTHBEARER"])
def test_the_whole_way_from_a_file_to_a_shard_and_back(secured, tmp_path, mechanism):
    """feed, deploy (source, sink, claims, commands), replay, dead letters and the control service, by one setting."""
    (tmp_path / "topologies.yaml").write_text(RELAY)
    (tmp_path / "pw").write_text(PASSWORD)
    (tmp_path / "mevflow.toml").write_text(
        f'[kafka]\nbootstrap = "{secured.sasl}"\nprotocol = "sasl_ssl"\nmechanism = "{mechanism}"\n'
        f'username = "ann"\npassword_file = "pw"\ntoken_url = "{secured.tokens.url}"\n'
        f'ca = "{secured.ca}"\n[control]\nport = {free_port()}\nhttp_port = {free_port()}\n[clickhouse]\nport = 1\n'
    )

    def mevflow(*words):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MEVFLOW_")}
        done = subprocess.run(
            [sys.executable, "-m", "mevflow.cli", *words, "--json"],
            cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def messages(topic):
        return {row["topic"]: row["messages"] for row in mevflow("topics", "list")}[topic]

    (day,) = (ROOT / "examples" / "data").glob("uniswap-v3-*0.30pct*.csv.gz")
    some = tmp_path / day.name.removesuffix(".gz")
    with gzip.open(day, "rt") as lines:
        some.write_text("".join(islice(lines, 300)))
    mevflow("topics", "create")
    mevflow("feed", str(some))
    assert messages("dex-swaps-proto") > 100
    mevflow("deploy", "relay")
    mevflow("control", "start")
    try:
        wait_for(lambda: messages("realtime-proto") >= messages("dex-swaps-proto"), 120)
        answered = mevflow("control", "kill", "--reason", "a trial")
        assert "relay" in json.dumps(answered)
        assert mevflow("dlq", "list") is None
    finally:
        mevflow("control", "stop")
        mevflow("stop", "relay")
    window = ("--from", "2024-01-05T00:00Z", "--to", "2024-01-05T01:00Z")
    assert mevflow("replay", "relay", *window, "--run-id", "r", "--dry-run")
    assert PASSWORD not in (tmp_path / "var/run/relay/spec.json").read_text()


def test_another_cluster_gets_no_password(secured):
    security.use(secured.by_password("PLAIN"))
    assert reach("127.0.0.1:1") == {"bootstrap.servers": "127.0.0.1:1"}
    assert reach_by_python("127.0.0.1:1") == {"bootstrap_servers": "127.0.0.1:1"}
    assert reach(secured.sasl)["sasl.password"] == PASSWORD


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"protocol": "sasl_ssl", "username": "ann"}, "needs a user and a password"),
        ({"protocol": "ssl", "certificate": "/c"}, "go together"),
        ({"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "username": "a", "password_file": "/f"}, "gives tokens"),
        ({"protocol": "ssl", "ca": "/none.pem"}, "no such file"),
        ({"protocol": "sasl_ssl", "username": "ann", "password_file": "/none"}, "cannot be read"),
    ],
)
def test_what_is_missing_is_named(fields, said):
    with pytest.raises(UsageError, match=said):
        KafkaSecurity("b:1", **fields).librdkafka()


def test_an_empty_secret_is_none(tmp_path):
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        read_secret(str(tmp_path / "empty"))


def test_settings_are_the_clusters():
    made = KafkaConfig(bootstrap="b:1", protocol="ssl", ca="/ca.pem").security
    assert made == KafkaSecurity("b:1", "ssl", ca="/ca.pem")


def test_no_client_goes_past_it():
    """A client that names its broker itself would reach it in plain."""
    past = [
        str(path.relative_to(ROOT))
        for room in ("flows", "control", "sources", "sinks", "mevflow/kafka", "mevflow/cli", "mevflow/learning")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "security.py"
        and re.search(r"bootstrap[._]servers|kafka://(?!.*\n.*credentials)", path.read_text())
    ]
    assert past == []
