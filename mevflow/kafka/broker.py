"""The embedded Kafka broker as a background process: start, stop, status. Its files are under ``<var>/kafka/``."""

from __future__ import annotations

import errno
import fcntl
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mevflow.kafka import broker_files
from mevflow.kafka.security import reach
from mevflow.operators.errors import MevflowError, UnreachableError, UsageError
from mevflow.processes.background import ProcessId
from mevflow.processes.private import UMASK, open_private, private_folder
from mevflow.processes.startup import Startup

#: A stop writes the logs out. Seconds.
STOP_PATIENCE_S = 30.0
#: A process that was killed holds its ports until its last thread is gone.
_PORT_PATIENCE_S = 3.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """``pid`` is that of the embedded broker of this ``var``, None when it does not run.

    ``answering`` is True when any broker answers at ``bootstrap``, the embedded one or another.
    """

    bootstrap: str
    answering: bool
    pid: int | None
    log: str
    data: str


def start(
    var: Path,
    bootstrap: str,
    controller_port: int = 9093,
    heap_mb: int = 768,
    say: Callable[[str], None] = lambda text: None,
) -> BrokerStatus:
    """Start the broker and wait until it answers; does nothing when it already runs.

    Raises MevflowError when Java, Maven or the port is not to be had or the process ends,
    UsageError when ``bootstrap`` is another machine's, UnreachableError when it is stuck without answering.
    """
    host, port = _loopback(bootstrap)
    home = _make_home(var)
    log = home / "broker.log"
    with _only_one(home / "lock"):
        startup = Startup([log])
        running = ProcessId.load(home / "broker.pid")
        if running is None:
            _check_ports(host, port, controller_port)
            java, jars = broker_files.java(), broker_files.jars(say)
            properties = broker_files.prepare(home, host, port, controller_port, java, jars)
            say("starting Kafka")
            running = _spawn(home, java, jars, heap_mb, properties)
        _await(bootstrap, running, startup, log)
    return status(var, bootstrap)


def stop(var: Path) -> bool:
    """End the broker in order, or by force after a while. False when it did not run.

    A broker that was forced recovers its logs at the next start; nothing acknowledged is lost.
    """
    home = var.absolute() / "kafka"
    running = ProcessId.load(home / "broker.pid")
    if running is None:
        return False
    running.end(STOP_PATIENCE_S)
    (home / "broker.pid").unlink(missing_ok=True)
    return True


def status(var: Path, bootstrap: str) -> BrokerStatus:
    """What runs, without starting anything."""
    home = var.absolute() / "kafka"
    running = ProcessId.load(home / "broker.pid")
    return BrokerStatus(
        bootstrap=bootstrap,
        answering=answers(bootstrap, 2.0),
        pid=running.pid if running else None,
        log=str(home / "broker.log"),
        data=str(home / "data"),
    )


def answers(bootstrap: str, seconds: float) -> bool:
    """Whether a Kafka broker gives its metadata at ``bootstrap`` within ``seconds``."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if not _accepts(bootstrap):
        return False
    admin = AdminClient({**reach(bootstrap), "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


def _accepts(bootstrap: str) -> bool:
    """A connection is much cheaper to try than a client, which waits for its time-out."""
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host, int(port)), 1.0):
                return True
        except (OSError, ValueError):
            continue
    return False


def _loopback(bootstrap: str) -> tuple[str, int]:
    host, _, port = bootstrap.partition(":")
    if host not in _LOOPBACK or not port.isdigit():
        raise UsageError(
            f"the embedded broker listens on the loopback address only, not at {bootstrap}",
            hint="start that cluster where it lives, or set MEVFLOW_KAFKA__BOOTSTRAP=127.0.0.1:9092",
            key="kafka.bootstrap",
        )
    return "127.0.0.1" if host == "localhost" else host, int(port)


def _make_home(var: Path) -> Path:
    home = var.absolute() / "kafka"
    try:
        private_folder(home)
        open_private(home / "lock").close()
    except OSError as error:
        raise MevflowError(
            f"the state folder cannot be written: {error.strerror}",
            hint="mend its permissions, or set MEVFLOW_VAR to a folder that you own",
            file=str(home),
        ) from error
    return home


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two starts at once: the second waits, then finds the broker running."""
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_ports(host: str, port: int, controller_port: int) -> None:
    for number, setting in ((port, "MEVFLOW_KAFKA__BOOTSTRAP"), (controller_port, "MEVFLOW_KAFKA__CONTROLLER_PORT")):
        deadline = time.monotonic() + _PORT_PATIENCE_S
        while not _is_free(host, number):
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            other = "another Kafka broker" if answers(f"{host}:{number}", 2.0) else "another program"
            use = f"{host}:{number + 10}" if number == port else str(number + 10)
            raise MevflowError(
                f"port {number} on {host} is in use by {other}",
                hint=f"stop it, or use another port: {setting}={use}",
            )


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise MevflowError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return True


def _spawn(home: Path, java: str, jars: Path, heap_mb: int, properties: Path) -> ProcessId:
    options = [f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError"]
    with open_private(home / "broker.log") as log:
        process = subprocess.Popen(
            [java, *options, *broker_files.classpath(jars), "kafka.Kafka", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
            start_new_session=True,  # Ctrl-C in the terminal is not for the broker
            umask=UMASK,
        )
    found = ProcessId.of(process.pid)
    if found is None:
        raise MevflowError("the broker ended at once", hint=f"see {home / 'broker.log'}")
    found.save(home / "broker.pid")
    return found


def _await(bootstrap: str, running: ProcessId, startup: Startup, log: Path) -> None:
    """Until it answers, for as long as it gets on: it may have to recover its logs after a kill."""
    while not answers(bootstrap, 1.0):
        if not running.alive:
            raise MevflowError(f"the broker ended while it started:\n{startup.said(6)}", hint=f"the whole log: {log}")
        fault = startup.fault([running.pid])
        if fault:
            raise UnreachableError(
                f"the broker does not answer at {bootstrap}, and {fault}:\n{startup.said(6)}", hint=f"see {log}"
            )
        time.sleep(0.1)
