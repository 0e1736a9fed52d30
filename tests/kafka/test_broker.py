"""The embedded broker: starts once, keeps its data over a stop, names what is in its way."""

import socket
import uuid

import pytest

from mevflow.kafka import broker, broker_files
from mevflow.kafka.topics import TopicSpec, create, listing
from mevflow.operators.errors import MevflowError, UsageError
from mevflow.processes.addresses import free_port


def test_start_is_idempotent_and_data_outlives_a_stop(tmp_path, send):
    bootstrap, controller = f"127.0.0.1:{free_port()}", free_port()
    try:
        first = broker.start(tmp_path, bootstrap, controller, heap_mb=256)
        assert first.answering
        assert broker.start(tmp_path, bootstrap, controller).pid == first.pid
        create(bootstrap, (TopicSpec("t", 1),))
        send("t", [(0, 1000, b"kept")], bootstrap)
        assert broker.stop(tmp_path)
        assert not broker.stop(tmp_path)
        stopped = broker.status(tmp_path, bootstrap)
        assert (stopped.pid, stopped.answering) == (None, False)
        moved = f"127.0.0.1:{free_port()}"  # another port is no other cluster
        assert broker.start(tmp_path, moved, controller, heap_mb=256).answering
        assert listing(moved, ["t"])[0].messages == 1
    finally:
        broker.stop(tmp_path)


def test_a_cluster_id_may_begin_with_a_dash(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_files.uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xfb" * 16))
    tools = broker_files.java(), broker_files.jars(lambda said: None)
    broker_files.prepare(tmp_path, "127.0.0.1", 1, 2, *tools)
    assert "cluster.id=-" in (tmp_path / "data" / "meta.properties").read_text()


@pytest.mark.parametrize("which", ["bootstrap", "controller"])
def test_a_port_in_use_is_named(tmp_path, which, monkeypatch):
    monkeypatch.setattr(broker, "_PORT_PATIENCE_S", 0.1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = (port, free_port()) if which == "bootstrap" else (free_port(), port)
        with pytest.raises(MevflowError, match=f"port {port} on 127.0.0.1 is in use by another program"):
            broker.start(tmp_path, f"127.0.0.1:{ports[0]}", ports[1])


def test_another_brokers_port_is_named(tmp_path, kafka_broker, monkeypatch):
    monkeypatch.setattr(broker, "_PORT_PATIENCE_S", 0.1)
    with pytest.raises(MevflowError, match="in use by another Kafka broker"):
        broker.start(tmp_path, kafka_broker, free_port())


def test_only_this_machine(tmp_path):
    with pytest.raises(UsageError, match="loopback address only"):
        broker.start(tmp_path, "kafka.example.com:9092")


def test_missing_java_and_maven_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MevflowError, match="openjdk-17-jre-headless"):
        broker_files.java()
    with pytest.raises(MevflowError, match="apt-get install maven"):
        broker_files.jars(lambda text: None)


def test_an_old_java_is_refused(tmp_path, monkeypatch):
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MevflowError, match=r"needs Java 17 or newer; .*11\.0\.2"):
        broker_files.java()


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "kafka").write_text("a file in the way")
    with pytest.raises(MevflowError, match="cannot be written"):
        broker.start(tmp_path, "127.0.0.1:9092")


def test_a_broker_that_fails_shows_its_log(tmp_path):
    bootstrap, controller = f"127.0.0.1:{free_port()}", free_port()
    with pytest.raises(MevflowError, match="ended while it started"):
        broker.start(tmp_path, bootstrap, controller, heap_mb=1)
