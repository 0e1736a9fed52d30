"""The server as a process: start, stop, kill, restart, and everything that can stand in its way."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from mevflow.clickhouse import daemon
from mevflow.clickhouse.client import connect
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError
from mevflow.processes.addresses import free_port


@pytest.fixture
def var(tmp_path):
    yield tmp_path
    daemon.stop(tmp_path)


def test_start_is_idempotent_and_data_survives_a_restart(var):
    port = free_port()
    pid = daemon.start(var, port=port)
    assert daemon.start(var, port=port) == pid
    assert daemon.status(var, port=port).answering
    client = connect(port=port)
    client.command("CREATE DATABASE kept")
    client.command("CREATE TABLE kept.t (a Int32) ENGINE = MergeTree ORDER BY a")
    client.command("INSERT INTO kept.t VALUES (1), (2)")
    assert daemon.stop(var)
    assert not daemon.stop(var)
    assert daemon.status(var, port=port).pid is None
    assert daemon.start(var, port=port) != pid
    assert connect(port=port).command("SELECT sum(a) FROM kept.t") == 3


def test_no_acknowledged_row_is_lost_by_a_kill(var):
    port = free_port()
    pid = daemon.start(var, port=port)
    client = connect(port=port)
    client.command("CREATE DATABASE kept")
    client.command("CREATE TABLE kept.t (a UInt64) ENGINE = MergeTree ORDER BY a")
    acknowledged = 0
    killer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    try:
        while True:
            client.insert("kept.t", [[acknowledged + number] for number in range(1000)], column_names=["a"])
            if not acknowledged:
                killer.start()
            acknowledged += 1000
    except Exception:
        killer.join()
    assert acknowledged
    daemon.start(var, port=port)
    found = connect(port=port).query("SELECT count(), max(a) FROM kept.t").result_rows[0]
    assert found[0] in (acknowledged, acknowledged + 1000)
    assert found[1] == found[0] - 1


def test_a_start_right_after_a_kill_starts_a_new_one(var):
    port = free_port()
    pid = daemon.start(var, port=port)
    for _ in range(3):
        os.kill(pid, signal.SIGKILL)
        killed, pid = pid, daemon.start(var, port=port)
        assert pid != killed
        assert connect(port=port).command("SELECT 1") == 1


def test_a_dead_process_that_nobody_waited_for_is_not_running(var):
    """The parent of the server lives on and never waits."""
    port = free_port()
    script = (
        "import pathlib, sys, time; from mevflow.clickhouse import daemon; "
        "print(daemon.start(pathlib.Path(sys.argv[1]), port=int(sys.argv[2])), flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, var, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(parent.stdout.readline())
        os.kill(pid, signal.SIGKILL)
        assert daemon.start(var, port=port) != pid
        assert connect(port=port).command("SELECT 1") == 1
    finally:
        parent.kill()
        parent.wait()


def test_a_start_that_stands_still_is_given_up_and_one_that_works_is_not(var):
    """A stopped process does nothing, however long one waits; one that starts slowly is waited for."""
    port = free_port()
    pid = daemon.start(var, port=port)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError, match="has done nothing"):
            daemon.start(var, port=port, wait_s=0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    daemon.stop(var)
    assert daemon.start(var, port=port, wait_s=5)


def test_a_second_process_on_the_same_data_is_refused(var):
    port = free_port()
    pid = daemon.start(var, port=port)
    second = subprocess.run(
        [sys.executable, "-m", "mevflow.clickhouse.server", "--path", str(var / "clickhouse"), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1
    assert f"another process (pid {pid}) owns the ClickHouse data here" in second.stderr


def test_a_port_in_use_is_named(var):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MevflowError, match=f"port {port} on 127.0.0.1 is in use by another program"):
            daemon.start(var, port=port)


def test_a_running_server_is_not_moved_to_another_port(var):
    daemon.start(var, port=free_port())
    with pytest.raises(MevflowError, match="already runs"):
        daemon.start(var, port=free_port())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "clickhouse").write_text("in the way")
    with pytest.raises(MevflowError, match="cannot write"):
        daemon.start(tmp_path, port=free_port())


def test_a_reachable_address_needs_a_password(var):
    with pytest.raises(UsageError, match="no ClickHouse password"):
        daemon.start(var, host="0.0.0.0", port=free_port())


def test_the_password_is_asked_for(var):
    port = free_port()
    daemon.start(var, port=port, password="s3cret")
    assert connect(port=port, password="s3cret").command("SELECT 1") == 1
    for wrong in ("", "other"):
        with pytest.raises(MevflowError, match="refused user 'default'"):
            connect(port=port, password=wrong)
    with pytest.raises(MevflowError, match="refused user 'nobody'"):
        connect(port=port, user="nobody", password="s3cret")


def test_a_stale_pid_file_is_not_believed(var):
    home = var / "clickhouse"
    home.mkdir()
    (home / "server.pid").write_text(f'{{"pid": {os.getpid()}, "started": 1, "host": "127.0.0.1", "port": 1}}')
    assert daemon.status(var).pid is None
    assert not daemon.stop(var)
    daemon.start(var, port=free_port())


def test_a_stop_lets_a_running_statement_end(var):
    port = free_port()
    daemon.start(var, port=port)
    answers = []
    slow = threading.Thread(
        target=lambda: answers.append(connect(port=port).command("SELECT sleepEachRow(0.5) FROM numbers(3) LIMIT 1"))
    )
    slow.start()
    time.sleep(0.7)
    daemon.stop(var)
    slow.join()
    assert answers == [0]


def test_nothing_there_is_said_clearly():
    port = free_port()
    with pytest.raises(UnreachableError, match=f"no ClickHouse answers at 127.0.0.1:{port}"):
        connect(port=port)
