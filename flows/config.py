"""Configuration, read once at the edge.

Defaults < ``mevflow.toml`` < environment (``MEVFLOW_KAFKA__BOOTSTRAP``) < flags; unknown keys are errors.
Relative paths are of the folder of the configuration (:func:`home`), never of the working directory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

import mevflow
from mevflow.clickhouse import tls
from mevflow.clickhouse.tls import ClickHouseTls
from mevflow.flows.config_sources import from_toml, from_variables, merged
from mevflow.kafka import security
from mevflow.kafka.security import KafkaSecurity, Mechanism, Protocol
from mevflow.metrics.serving import Serving
from mevflow.metrics.tracing import Tracing
from mevflow.operators.errors import UsageError
from mevflow.processes.private import read_secret

TOML, TOPOLOGIES = "mevflow.toml", "topologies.yaml"
_PREFIX = "MEVFLOW_"


class KafkaConfig(BaseModel):
    """Where the broker is, or where the embedded one listens; how an external cluster is reached.

    Paths are of PEM files, and of files that hold one password each: see :class:`mevflow.kafka.security.KafkaSecurity`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    bootstrap: str = "127.0.0.1:9092"
    controller_port: int = 9093
    heap_mb: int = 768
    protocol: Protocol = "plaintext"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    token_url: str = ""
    token_scope: str = ""

    @property
    def security(self) -> KafkaSecurity:
        """How this cluster is reached."""
        paths = {name: str(getattr(self, name) or "") for name in ("password_file", "ca", "certificate", "key")}
        return KafkaSecurity(
            self.bootstrap,
            self.protocol,
            self.mechanism,
            self.username,
            key_password_file=str(self.key_password_file or ""),
            token_url=self.token_url,
            token_scope=self.token_scope,
            **paths,
        )


class ClickHouseConfig(BaseModel):
    """Where ClickHouse answers HTTP, or where the embedded one listens; how one elsewhere is reached.

    ``password_file`` comes before ``password``. ``tls``: ``port`` speaks HTTPS; ``ca``, ``certificate`` and ``key`` are
    PEM files (see :class:`mevflow.clickhouse.tls.ClickHouseTls`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = "127.0.0.1"
    port: int = 8123
    database: str = "mevflow"
    user: str = "default"
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def by_tls(self) -> ClickHouseTls | None:
        """How it is reached; None: in plain."""
        paths = {name: str(getattr(self, name) or "") for name in ("ca", "certificate", "key")}
        return ClickHouseTls(self.host, self.port, **paths) if self.tls else None


class WebSocketConfig(BaseModel):
    """Where the fan-out hub listens. ``dscp`` marks its packets (``EF``, ``AF41``, 0 to 63); empty: not at all."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = "127.0.0.1"
    port: int = 8002
    dscp: str = ""


class MetricsConfig(BaseModel):
    """Where processes serve ``/metrics``: a free port each, which ``<var>/prometheus/targets.json`` names.

    ``port`` is for a process that has an address of its own (a container): shards always take a free one, and are
    behind ``/shards`` of their supervisor. ``prometheus``: the URL of one that has our rules, for alerts.
    ``grafana_hosts``: those that the gateway may put dashboards into.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535)
    prometheus: str = Field("", pattern=r"^(https?://\S+)?$")
    grafana_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")


class TracingConfig(BaseModel):
    """A share of the decisions as OpenTelemetry traces, by the extra ``otel``. ``sample`` 0: none, at no cost.

    What the SDK reads from its own variables holds too (``OTEL_EXPORTER_OTLP_HEADERS`` for a collector's key).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    sample: float = Field(0.0, ge=0.0, le=1.0)
    endpoint: str = Field("http://127.0.0.1:4318/v1/traces", pattern=r"^https?://\S+$")

    @property
    def tracing(self) -> Tracing | None:
        """As the processes of a deployment take it; None: no traces."""
        return Tracing(self.endpoint, self.sample) if self.sample > 0 else None


class RetentionConfig(BaseModel):
    """How long is kept; what is not named stays as it is. ``mevflow clean`` puts it into force.

    ``tables``: days of chain time by ClickHouse table (0: for ever). ``topics``: MiB of each partition by topic.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    tables: dict[str, Annotated[int, Field(ge=0, le=36_500)]] = {}
    topics: dict[str, Annotated[int, Field(ge=1, le=1 << 30)]] = {}


class ControlConfig(BaseModel):
    """Where the control service listens for gRPC and HTTP, and who may call: ``docs/security.md``.

    Paths: ``tls_cert`` and ``tls_key`` (PEM), ``client_ca`` (clients must show a certificate of it), ``client_roles``
    (TOML: roles by certificate name), ``jwt_keys`` (a folder of public keys), ``signing_key`` (PEM: commands are signed
    with it), ``command_keys`` (a folder of public keys: commands must be signed by one), ``model_keys`` (the same for
    models; with ``models_signed`` a model must be signed). Rates are an identity's, in calls.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = "127.0.0.1"
    port: int = 50051
    http_port: int = 8001
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    client_roles: Path | None = None
    jwt_keys: Path | None = None
    signing_key: Path | None = None
    command_keys: Path | None = None
    model_keys: Path | None = None
    models_signed: bool = False
    audience: str = "mevflow-control"
    issuer: str = "mevflow"
    origins: tuple[str, ...] = ()
    reads_per_s: float = Field(200.0, gt=0)
    reads_burst: float = Field(400.0, ge=1)
    changes_per_s: float = Field(20.0, gt=0)
    changes_burst: float = Field(40.0, ge=1)
    kills_per_s: float = Field(20.0, gt=0)
    kills_burst: float = Field(100.0, ge=1)

    @property
    def authenticates(self) -> bool:
        """Whether callers prove who they are."""
        return self.jwt_keys is not None or self.client_roles is not None


class Config(BaseModel):
    """Everything that a deployment may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    var: Path = Path("var")
    topologies: Path = Path(TOPOLOGIES)
    kafka: KafkaConfig = KafkaConfig()
    clickhouse: ClickHouseConfig = ClickHouseConfig()
    websocket: WebSocketConfig = WebSocketConfig()
    control: ControlConfig = ControlConfig()
    metrics: MetricsConfig = MetricsConfig()
    tracing: TracingConfig = TracingConfig()
    retention: RetentionConfig = RetentionConfig()

    def serving(self, var: Path | None = None) -> Serving | None:
        """How a process that is started now serves its metrics, found by those of ``var``; None: not at all."""
        where = self.metrics
        return Serving(str((var or self.var).absolute()), where.host, where.port) if where.enabled else None


@dataclass
class _Located:
    """The topology file that the command was given, if any: the configuration is looked for around it."""

    file: Path | None = None


_located = _Located()


def locate(file: Path | None) -> Path | None:
    """Take the configuration from around this topology file (absolute), not from around the working directory (None).

    Gives what it was taken from before.
    """
    before = _located.file
    if before != file:
        _located.file = file
        config.cache_clear()
    return before


def home() -> Path:
    """The folder that relative paths of the configuration are of, whatever the working directory is.

    The nearest one with a ``mevflow.toml`` or ``topologies.yaml``, upwards from the topology file that was named (else
    from the working directory); without any, where the search began.
    """
    began = _located.file.parent if _located.file is not None else Path.cwd()
    for folder in (began, *began.parents):
        if (folder / TOML).exists() or (folder / TOPOLOGIES).exists():
            return folder
    return began


@cache
def config() -> Config:
    """The configuration of this process, its paths absolute; its clients reach Kafka and ClickHouse as it says.

    Raises UsageError that names every wrong setting.
    """
    folder = home()
    said = from_variables(Config, _PREFIX, os.environ)
    try:
        found = Config.model_validate(merged(from_toml(folder / TOML), said))
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise UsageError(
            "the configuration is wrong: " + "; ".join(faults), hint=f"{folder / TOML} and MEVFLOW_… variables"
        ) from error
    paths = _absolute(found, folder)
    if "topologies" not in found.model_fields_set and not paths["topologies"].exists():
        # A folder without a topology file of its own has the one that comes with mevflow; its state stays here.
        paths["topologies"] = Path(mevflow.__file__).parent / TOPOLOGIES
    parts: dict[str, BaseModel] = {"kafka": found.kafka, "clickhouse": found.clickhouse, "control": found.control}
    if found.clickhouse.password_file is not None:
        password = SecretStr(read_secret(str(folder / found.clickhouse.password_file)))
        parts["clickhouse"] = found.clickhouse.model_copy(update={"password": password})
    made = found.model_copy(
        update=paths | {name: part.model_copy(update=_absolute(part, folder)) for name, part in parts.items()}
    )
    security.use(made.kafka.security)
    tls.use(made.clickhouse.by_tls)
    return made


def _absolute(settings: BaseModel, folder: Path) -> dict[str, Path]:
    """The relative paths among the settings, as paths below ``folder``."""
    return {name: folder / value for name, value in settings if isinstance(value, Path)}
