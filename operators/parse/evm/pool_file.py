"""A pool file: which addresses are pools, and their immutables, as people write them (YAML or CSV).

YAML has ``chain: NAME`` and ``pools: [{address, kind, token0, token1, fee_pips, tick_spacing, decimals, symbols,
factory, fee_module}]``;
CSV has a pool a line with the columns ``address, kind, token0, token1, fee_pips, tick_spacing, decimals0, decimals1,
symbol0, symbol1, factory, fee_module`` and may say its ``chain`` in each line. What the logs of a pool's ``factory``
and ``fee_module`` say of it counts.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from mevflow.operators.chains import checked_name, number_of
from mevflow.operators.documents import read_yaml
from mevflow.operators.errors import UsageError
from mevflow.operators.parse.evm.pools import KINDS, MANAGED_FEE, TICKED, EvmPool, PoolTable

_MOST_BYTES = 16 << 20
_ID_DIGITS = 66


@dataclass(frozen=True, slots=True)
class KnownPools:
    """Pools of one chain (its number)."""

    chain: int
    table: PoolTable


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    address: str
    kind: Literal["pairs", "volatile", "stable", "concentrated", "slipstream", "v4"]
    token0: str
    token1: str
    fee_pips: int = Field(0, ge=0, lt=1_000_000)
    tick_spacing: int = Field(0, ge=0, lt=1 << 15)
    decimals: tuple[int, int] = (0, 0)
    symbols: tuple[str, str] = ("", "")
    factory: str = ""
    fee_module: str = ""

    @field_validator("address", "token0", "token1", "factory", "fee_module")
    @classmethod
    def _twenty_bytes(cls, value: str, info: ValidationInfo) -> str:
        if info.field_name in ("factory", "fee_module") and not value:
            return value
        if info.field_name == "address" and len(value) == _ID_DIGITS and value[:2] in ("0x", "0X"):
            bytes.fromhex(value[2:])
            return value
        if len(value) != 42 or value[:2] not in ("0x", "0X"):
            raise ValueError("an address is 0x and 40 digits")
        bytes.fromhex(value[2:])
        return value

    @model_validator(mode="after")
    def _fits(self) -> _Entry:
        if (self.kind == "v4") != (len(self.address) == _ID_DIGITS):
            raise ValueError("the address of a v4 pool is its id, 0x and 64 digits; of others 0x and 40")
        if self.kind == "v4" and not self.factory:
            raise ValueError("a v4 pool has a factory: the pool manager that logs for it")
        if KINDS[self.kind] in TICKED and not self.tick_spacing:
            raise ValueError("a pool with ticks has a tick_spacing")
        if self.kind == "slipstream" and not self.fee_pips:
            raise ValueError("a slipstream pool has a fee_pips: none of its logs shows it")
        if self.kind == "stable" and not any(self.decimals):
            raise ValueError("a stable pool has decimals")
        if not self.fee_pips and KINDS[self.kind] not in MANAGED_FEE:
            raise ValueError("the pool has a fee_pips")
        if not all(0 <= one < 256 for one in self.decimals) or self.token0.lower() >= self.token1.lower():
            raise ValueError("decimals are 0 to 255, and token0 is the smaller address")
        return self

    def pool(self) -> EvmPool:
        return EvmPool(
            address=bytes.fromhex(self.address[2:]),
            venue=KINDS[self.kind],
            token0=bytes.fromhex(self.token0[2:]),
            token1=bytes.fromhex(self.token1[2:]),
            fee_pips=self.fee_pips,
            tick_spacing=self.tick_spacing,
            decimals=self.decimals,
            symbols=self.symbols,
            factory=bytes.fromhex(self.factory[2:]),
            fee_module=bytes.fromhex(self.fee_module[2:]),
        )


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    chain: str = "ethereum"
    pools: tuple[_Entry, ...] = Field(min_length=1)

    @field_validator("chain")
    @classmethod
    def _evm_chain(cls, value: str) -> str:
        if checked_name(value) == "solana":
            raise ValueError("solana is no EVM chain")
        return value


def read_pool_file(path: Path) -> KnownPools:
    """Read a pool file. Raises UsageError with the place of what is wrong."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"more than {_MOST_BYTES >> 20} MiB", file=str(path))
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as wrong:
        raise UsageError(f"the pool file cannot be read: {wrong}", file=str(path)) from wrong
    tree = _of_csv(text) if path.suffix.lower() == ".csv" else read_yaml(text, file=str(path))
    try:
        found = _File.model_validate(tree or {})
    except ValidationError as wrong:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong.errors()[:8])
        raise UsageError(f"the pool file is wrong: {faults}", file=str(path)) from None
    return KnownPools(number_of(found.chain), PoolTable((one.pool() for one in found.pools), stated=True))


def _of_csv(text: str) -> dict[str, Any]:
    pools: list[dict[str, Any]] = []
    chains: set[str] = set()
    for row in csv.DictReader(io.StringIO(text), restkey="more", restval=""):
        one: dict[str, Any] = {str(name).strip(): value for name, value in row.items() if value != ""}
        chains.add(one.pop("chain", "ethereum"))
        one["decimals"] = (one.pop("decimals0", 0), one.pop("decimals1", 0))
        one["symbols"] = (one.pop("symbol0", ""), one.pop("symbol1", ""))
        pools.append(one)
    return {"chain": ", ".join(sorted(chains)), "pools": pools}
