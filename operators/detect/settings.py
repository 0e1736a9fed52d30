"""What ``arbitrage.detect`` can be told, and the registry file that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mevflow.operators.addresses import address
from mevflow.operators.chains import checked_name, number_of
from mevflow.operators.detect.costs import CostModel
from mevflow.operators.documents import read_yaml
from mevflow.operators.errors import UsageError
from mevflow.operators.samples import found
from mevflow.operators.stage import LocalPath, Settings


class Token(BaseModel):
    """A token that the registry names."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    chain: str
    mint: str
    symbol: str
    decimals: int = Field(ge=0, le=36)
    role: str = "token"  # numeraire | hub | token

    @field_validator("chain")
    @classmethod
    def _chain(cls, value: str) -> str:
        return checked_name(value)

    @field_validator("role")
    @classmethod
    def _role(cls, value: str) -> str:
        if value not in ("numeraire", "hub", "token"):
            raise ValueError("numeraire, hub or token")
        return value

    @property
    def key(self) -> tuple[int, bytes]:
        """Chain number and the mint's bytes."""
        return number_of(self.chain), address(self.mint)


class Registry(BaseModel):
    """Tokens with their roles, and the pools and mints that are left out. Addresses are base58 or 0x-hex."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    tokens: tuple[Token, ...] = ()
    deny_pools: tuple[str, ...] = ()
    deny_mints: tuple[str, ...] = ()


def load_registry(path: str) -> Registry:
    """Read the registry file. Raises UsageError that names the file and the place, and quotes nothing of it."""
    try:
        text = found(Path(path)).read_text()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"cannot read the registry: {why}", file=path, key="registry") from None
    try:
        tree: Any = read_yaml(text, file=path)
    except UsageError as error:
        error.key = "registry"
        raise
    try:
        registry = Registry.model_validate(tree or {})
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:8])
        raise UsageError(f"the registry is wrong: {faults}", file=path, key="registry") from None
    for name in ("deny_pools", "deny_mints", "tokens"):
        for place, each in enumerate(getattr(registry, name)):
            try:
                address(each.mint if isinstance(each, Token) else each)
            except ValueError:
                why = f"{name}.{place} is neither base58 nor 0x-hex"
                raise UsageError(f"the registry is wrong: {why}", file=path, key="registry") from None
    return registry


class DetectSettings(Settings):
    """Settings of ``arbitrage.detect``.

    ``min_profit_usd`` is asked of the gross profit (pool fees paid) at the best input; a cycle whose start token has
    no price is reported when ``min_profit_usd`` is 0. ``costs`` are what one attempt costs
    (base and priority fee, tip; gas), taken off to give the net profit. ``lateness_ms`` holds events back in chain
    time. ``reorg_slots`` is how deep a fork can be taken back; 0 keeps nothing for that.
    """

    registry: LocalPath
    max_hops: int = Field(3, ge=2, le=4)
    min_profit_usd: float = Field(0.05, ge=0, allow_inf_nan=False)
    lateness_ms: int = Field(0, ge=0, le=600_000)
    costs: CostModel = CostModel()
    reorg_slots: int = Field(64, ge=0, le=1_024)
    price_every_ms: int = Field(1_000, ge=0)
