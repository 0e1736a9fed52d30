"""A topology whose shards are divided among hosts: each runs its part, and together they give what one gives."""

import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from click.testing import CliRunner

from mevflow.cli.deploy import command as deploy_command
from mevflow.flows.runtime import change, deploy
from mevflow.flows.runtime.layout import Layout
from mevflow.flows.runtime.status import shard_status, status
from mevflow.operators.errors import MevflowError, StateError, UsageError
from mevflow.processes.environment import environment
from tests.flows.runtime.hosts import ALLOWED, Host
from tests.flows.runtime.streams import copied, records, stored, wait


def given(layout, numbers):
    """Rows that the shards have read, by what they last said."""
    said = [shard_status(layout, number) for number in numbers]
    return sum(one.get("nodes", {}).get("swaps", {}).get("rows_out", 0) for one in said)


@pytest.mark.skipif(not ALLOWED, reason="network namespaces need root")
def test_two_hosts_of_which_one_is_cut_off_give_what_one_host_gives(
    make_copies, kafka_broker, clickhouse_server, clickhouse_client, send, tmp_path
):
    """Each in a network namespace; one is cut off in the middle of the stream, and healed when the other is done."""
    count = 600
    send(make_copies.topic, records(0, count))
    alone, alone_copy, alone_database = make_copies("alone")
    spec = deploy.prepare(alone, "alone", tmp_path / "var", shards=1, fresh=False)
    deploy.start(spec)
    file, copy, database = make_copies("spread")
    layouts = [Layout.live(tmp_path / f"var-{host}", "spread") for host in range(2)]
    hosts = [Host(tmp_path, (int(kafka_broker.rpartition(":")[2]), clickhouse_server.port)) for _ in range(2)]
    try:
        running = [
            host.run(
                sys.executable, "-m", "mevflow.cli", "deploy", "spread", "--file", str(file), "--shards", "2",
                "--host", f"{number + 1}/2", "--foreground",
                env=environment() | {"MEVFLOW_VAR": str(tmp_path / f"var-{number}")},
                stdout=subprocess.DEVNULL, stderr=(tmp_path / f"host-{number}.log").open("wb"),
            )
            for number, host in enumerate(hosts)
        ]  # fmt: skip
        wait(lambda: [given(layouts[0], (0,)), given(layouts[1], (1,))] == [300, 300], "both hosts read")
        hosts[1].cut()
        send(make_copies.topic, records(count, count))
        wait(lambda: given(layouts[0], (0,)) == 600, "the other host goes on")
        assert running[1].poll() is None
        hosts[1].heal()
        wait(lambda: given(layouts[1], (1,)) == 600, "the one that was cut off goes on")
        for process in running:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(240) for process in running] == [0, 0]
        wait(lambda: given(spec.layout, (0,)) == 2 * count, "one host reads all")
        deploy.stop("alone", tmp_path / "var", 240)
    finally:
        for host in hosts:
            host.close()
        if status("alone", tmp_path / "var")["state"] == "running":
            deploy.stop("alone", tmp_path / "var", 1)
    wanted = stored(clickhouse_client, alone_database)
    assert [len(rows) for rows in wanted] == [1_029, 171]
    assert stored(clickhouse_client, database) == wanted
    assert all(set(rows.values()) == {1} for rows in wanted)
    assert copied(kafka_broker, copy) == copied(kafka_broker, alone_copy)


def test_hosts_divide_a_topology_one_way_at_a_time(make_copies, tmp_path):
    file, *_ = make_copies("parts")
    started = []

    def start(var, shards, host):
        spec = deploy.prepare(file, "parts", tmp_path / var, shards=shards, fresh=False, host=host)
        deploy.start(spec)
        started.append(var)
        return spec

    try:
        one = start("one", 2, (0, 2))
        assert list(one.numbers) == [0]
        for shards, host, why in (
            (2, (0, 1), "divided otherwise"),
            (3, (1, 2), "divided otherwise"),
            (2, (0, 2), "already deployed from another folder"),
        ):
            with pytest.raises(UsageError, match=why):
                start("other", shards, host)
        start("two", 2, (1, 2))
        with pytest.raises(UsageError, match="divided among 2 hosts"):
            change.rescale("parts", tmp_path / "one", 3)
        changed = change.upgrade(file, "parts", tmp_path / "two")
        assert list(changed.numbers) == [1]
        assert [shard["shard"] for shard in status("parts", tmp_path / "two")["shards"]] == [1]
        deploy.stop("parts", tmp_path / "two", 240)
        with pytest.raises(StateError, match="is that of host 2/2, not 1/2"):
            start("two", 2, (0, 2))
    finally:
        for var in dict.fromkeys(started):
            with suppress(MevflowError):  # it is stopped
                deploy.stop("parts", tmp_path / var, 240)


def test_another_number_of_hosts_after_a_drain_loses_no_row_and_stores_none_twice(
    make_copies, clickhouse_client, send, tmp_path
):
    """What docs/operate.md says of another number of pods: drained in the middle, begun anew from the topics' start."""
    file, _, database = make_copies("again")
    send(make_copies.topic, records(0, 2_000))
    started = []

    def start(var, shards, host):
        spec = deploy.prepare(file, "again", tmp_path / var, shards=shards, fresh=True, host=host)
        deploy.start(spec)
        started.append(var)
        return spec

    try:
        one = start("zero", 1, (0, 1))
        wait(lambda: given(one.layout, (0,)) > 0, "one host reads")
        deploy.stop("again", tmp_path / "zero", 240)
        send(make_copies.topic, records(2_000, 400))
        two = [start(f"host-{host}", 2, (host, 2)) for host in range(2)]
        wait(lambda: sum(given(spec.layout, spec.numbers) for spec in two) == 2_400, "two hosts read all of it anew")
    finally:
        for var in started:
            with suppress(MevflowError):  # it is stopped
                deploy.stop("again", tmp_path / var, 240)
    rows, letters = stored(clickhouse_client, database)
    assert (len(rows), len(letters)) == (2_058, 342)
    assert set(rows.values()) == {1}
    assert set(letters.values()) == {1}


def test_more_hosts_than_shards_are_refused(make_copies, tmp_path):
    file, *_ = make_copies("few")
    with pytest.raises(UsageError, match="3 hosts cannot divide 2 shards"):
        deploy.prepare(file, "few", tmp_path / "var", shards=2, fresh=False, host=(0, 3))


@pytest.mark.parametrize("part", ["2", "0/2", "3/2", "a/b", "1/0", "1/999", "-1/2"])
def test_a_part_that_is_none_is_a_usage_error(part, tmp_path):
    found = CliRunner().invoke(deploy_command, ["x", "--file", str(tmp_path / "t.yaml"), "--host", part])
    assert isinstance(found.exception, UsageError)
    assert "is not I/N" in str(found.exception)
