"""The control plane: how long a status call takes with its token checked, and a policy until all shards have it.

The service runs in its own process, the load generator (``mevflow.bench.control_load``) in another, two idle shards of
the real detection topology in two more, and the broker beside them: all on the machine's cores. Every call is
authenticated, limited and audited (a record in Kafka). The bars are P50 0.5 ms and P99 2 ms for status, 15 and 50 ms
for a policy.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mevflow.bench.control_load import LoadJob
from mevflow.bench.latency import TOPOLOGY
from mevflow.bench.stand import ROOT, Stand, stand
from mevflow.processes.environment import environment
from mevflow.processes.startup import Usage

SECONDS = 2.0
APPLIES = 150
SHARDS = 2
NAME = "latency"
STATUS_BARS = {"P50": 0.5, "P99": 2.0}
APPLY_BARS = {"P50": 15.0, "P99": 50.0}
LOADS = ((1, 0, "one caller"), (50, 1000, "50 callers, 1,000 calls/s"), (50, 2000, "50 callers, 2,000 calls/s"))


@dataclass(frozen=True)
class Running:
    """A service process: its addresses, the token it takes, and the CA of its certificate (empty: no TLS)."""

    pid: int
    grpc: str
    http: str
    token: str
    ca_file: str

    def job(self, kind: str, callers: int, rate: int, seconds: float) -> LoadJob:
        host, _, port = (self.grpc if kind == "grpc" else self.http.partition("://")[2]).rpartition(":")
        return LoadJob(kind, host, int(port), self.token, callers, rate, seconds, self.ca_file)


def run(seconds: float = SECONDS, applies: int = APPLIES) -> dict[str, Any]:
    """Every load over gRPC and HTTP, without TLS and with it; then policies."""
    from mevflow.flows.runtime import deploy

    figures: list[dict[str, Any]] = []
    with stand(clickhouse=False) as place, ExitStack() as down:
        file = place.folder / "control.yaml"
        file.write_text(TOPOLOGY.format(bootstrap=place.bootstrap, root=ROOT))
        var = place.folder / "var"
        deploy.start(deploy.prepare(file, NAME, var, shards=SHARDS, fresh=False))
        down.callback(deploy.stop, NAME, var)
        load = down.enter_context(generator())
        for tls in (False, True):
            with _service(place, file, var, tls=tls) as service:
                _wait_for_shards(service)
                for kind in ("grpc", "http"):
                    drive(load, service.job(kind, 10, 500, 1.0))  # warm
                    what = f"{'gRPC' if kind == 'grpc' else 'HTTP'}{', TLS' if tls else ''}"
                    for callers, rate, text in LOADS:
                        took = drive(load, service.job(kind, callers, rate, seconds))["took_ms"]
                        figures += percentiles(f"status, {what}, {text}", took, STATUS_BARS)
                    figures += _saturate(load, service, kind, what, seconds)
                if not tls:
                    took = _apply(service, applies)
                    figures += percentiles(f"policy to the acks of {SHARDS} shards", took, APPLY_BARS)
    return {"bench": "control", "figures": figures}


def _saturate(load: Any, service: Running, kind: str, what: str, seconds: float) -> list[dict[str, Any]]:
    """50 callers as fast as they are answered: what a core of the service gives, and who is busy."""
    before, began = Usage.of([service.pid]).computed_s, time.perf_counter()
    done = drive(load, service.job(kind, 50, 0, seconds))
    busy = (Usage.of([service.pid]).computed_s - before) / (time.perf_counter() - began)
    return [
        figure(f"status, {what}, 50 callers without a pause", done["calls_per_s"], "calls/s", None, None),
        figure(f"status, {what}, the same: the service's CPU", busy, "cores", "of one event loop", busy),
        figure(f"status, {what}, the same: the generator's CPU", done["cpu"], "cores", "of one thread", done["cpu"]),
    ]


def _apply(service: Running, count: int) -> list[float]:
    """Milliseconds from the call to the reply that says all shards have it, one call after the other."""
    from mevflow.control.client.client import Control, delivery, outcome

    took = []
    with Control(service.grpc, token=service.token) as control:
        for number in range(count + 5):
            payload = {"min_profit_usd": 0.05 + number / 10_000}
            began = time.perf_counter()
            reply = control.apply(NAME, "found", payload, how=delivery(wait_s=5.0))
            took.append(1000 * (time.perf_counter() - began))
            if (outcome(reply), reply.applied) != ("CONVERGED", SHARDS):
                raise RuntimeError(f"a policy did not converge: {reply}")
            time.sleep(0.01)
    return took[5:]


def percentiles(what: str, took_ms: list[float], bars: dict[str, float]) -> list[dict[str, Any]]:
    """Figures of calls that took so many milliseconds, each beside its bar."""
    found = []
    for name, bar in bars.items():
        value = float(np.percentile(took_ms, float(name[1:])))
        found.append(figure(f"{what}, {name}", value, "ms", f"bar: {bar:g} ms", value / bar))
    return found


def figure(name: str, value: float, unit: str, against: str | None, ratio: float | None) -> dict[str, Any]:
    """A row of a bench's outcome."""
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


def drive(load: Any, job: LoadJob) -> dict[str, Any]:
    """What the load generator measures of a job. Raises RuntimeError when it fails."""
    load.stdin.write(json.dumps(asdict(job)) + "\n")
    load.stdin.flush()
    line = load.stdout.readline()
    if not line:
        raise RuntimeError("the load generator failed")
    found: dict[str, Any] = json.loads(line)
    return found


@contextmanager
def generator() -> Iterator[Any]:
    """The load generator's process."""
    command = [sys.executable, "-m", "mevflow.bench.control_load"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _service(place: Stand, file: Path, var: Path, *, tls: bool) -> Iterator[Running]:
    """A service that checks tokens, on free ports."""
    from mevflow.control.auth.keys import make_key
    from mevflow.control.auth.tokens import make_token

    folder = place.folder / ("tls" if tls else "plain")
    private = folder / "private" / "bench.pem"
    make_key(folder / "keys", "bench", private)
    settings = {
        "MEVFLOW_VAR": str(var),
        "MEVFLOW_KAFKA__BOOTSTRAP": place.bootstrap,
        "MEVFLOW_CONTROL__JWT_KEYS": str(folder / "keys"),
        "MEVFLOW_CONTROL__READS_PER_S": "1000000",
        "MEVFLOW_CONTROL__READS_BURST": "1000000",
        "MEVFLOW_CONTROL__CHANGES_PER_S": "1000",
    }
    if tls:
        certificate, key = _certificate(folder)
        settings |= {"MEVFLOW_CONTROL__TLS_CERT": str(certificate), "MEVFLOW_CONTROL__TLS_KEY": str(key)}
    command = [sys.executable, "-m", "mevflow.cli", "control", "serve", "--port", "0", "--http-port", "0", "--json"]
    command += ["--file", str(file), "--log-level", "WARNING"]
    process = subprocess.Popen(command, cwd=ROOT, env={**environment(), **settings}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the control service did not start")
        found = json.loads(line)
        token = make_token(private, "bench", "bench", "admin", 600)
        yield Running(process.pid, found["grpc"], found["http"], token, str(certificate) if tls else "")
    finally:
        process.terminate()
        process.wait(20)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, ECDSA P-256."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def _wait_for_shards(service: Running) -> None:
    import grpc

    from mevflow.control.client.client import Control

    trust = grpc.ssl_channel_credentials(Path(service.ca_file).read_bytes()) if service.ca_file else None
    deadline = time.monotonic() + 30
    with Control(service.grpc, token=service.token, credentials=trust) as control:
        while sum(shard.state == "live" for shard in control.status(NAME).shards) < SHARDS:
            if time.monotonic() > deadline:
                raise RuntimeError("the shards are not heard")
            time.sleep(0.1)
