"""Configuration, read once at the edge.

Defaults < ``mevflow.toml`` < environment (``MEVFLOW_KAFKA__BOOTSTRAP``) < flags; unknown keys are errors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mevflow.operators.errors import UsageError


class KafkaConfig(BaseModel):
    """Where the broker is, or where the embedded one listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bootstrap: str = "127.0.0.1:9092"
    controller_port: int = 9093
    heap_mb: int = 768


class ClickHouseConfig(BaseModel):
    """Where ClickHouse answers HTTP, or where the embedded one listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = "127.0.0.1"
    port: int = 8123
    database: str = "mevflow"
    user: str = "default"
    password: SecretStr = SecretStr("")


class WebSocketConfig(BaseModel):
    """Where the fan-out hub listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = "127.0.0.1"
    port: int = 8002


class ControlConfig(BaseModel):
    """Where the control service listens for gRPC and HTTP, and who may call: ``docs/security.md``.

    Paths: ``tls_cert`` and ``tls_key`` (PEM), ``client_ca`` (clients must show a certificate of it), ``client_roles``
    (TOML: roles by certificate name), ``jwt_keys`` (a folder of public keys), ``signing_key`` (PEM: commands are signed
    with it), ``command_keys`` (a folder of public keys: commands must be signed by one). Rates are an identity's, in
    calls.
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
    audience: str = "mevflow-control"
    issuer: str = "mevflow"
    origins: tuple[str, ...] = ()
    reads_per_s: float = Field(200.0, gt=0)
    reads_burst: float = Field(400.0, ge=1)
    changes_per_s: float = Field(20.0, gt=0)
    changes_burst: float = Field(40.0, ge=1)
    kills_per_s: float = Field(20.0, gt=0)
    kills_burst: float = Field(100.0, ge=1)


class Config(BaseSettings):
    """Everything that a deployment may set."""

    model_config = SettingsConfigDict(
        env_prefix="MEVFLOW_",
        env_nested_delimiter="__",
        toml_file="mevflow.toml",
        extra="forbid",
        frozen=True,
    )
    var: Path = Path("var")
    topologies: Path = Path("topologies.yaml")
    kafka: KafkaConfig = KafkaConfig()
    clickhouse: ClickHouseConfig = ClickHouseConfig()
    websocket: WebSocketConfig = WebSocketConfig()
    control: ControlConfig = ControlConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


@cache
def config() -> Config:
    """The configuration of this process. Raises UsageError that names every wrong setting."""
    try:
        return Config()
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise UsageError(
            "the configuration is wrong: " + "; ".join(faults), hint="mevflow.toml and MEVFLOW_… variables"
        ) from error
