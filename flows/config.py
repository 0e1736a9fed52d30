"""Configuration, read once at the edge.

Defaults < ``mevflow.toml`` < environment (``MEVFLOW_KAFKA__BOOTSTRAP``) < flags; unknown keys are errors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from operators.errors import UsageError


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
    """Where the control service listens for gRPC."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = "127.0.0.1"
    port: int = 50051


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
