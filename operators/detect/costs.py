"""What an attempt at a cycle costs, in the chain's own smallest unit, by the chains' own rules.

Solana (solana.com/docs/core/fees): 5,000 lamports a signature, paid in any case; a priority fee of
``ceil(price * limit / 10**6)`` for a compute-unit price in micro-lamports and the requested limit, at most 1.4 million
units a transaction; a tip to a Jito tip account, at least 1,000 lamports (docs.jito.wtf). A token account that must be
opened holds 2,039,280 lamports (165 bytes, rent-exempt); they come back when it is closed.

Ethereum and other EVM chains (EIP-1559, EIP-2028): ``gas * (base fee + priority fee)``; gas is 21,000, 16 a calldata
byte that is not zero and 4 a zero one, and what the swaps use. A tip to the block's builder is a payment of its own.

What a venue's swap uses is a table; its defaults (below, with where they are from) are to be replaced by one's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mevflow.operators.chains import checked_evm, is_evm, number_of
from mevflow.v1 import market_pb2 as market

LAMPORTS_PER_SIGNATURE = 5_000
MICRO = 1_000_000
MAX_COMPUTE_UNITS = 1_400_000
TOKEN_ACCOUNT_RENT_LAMPORTS = 2_039_280
INTRINSIC_GAS = 21_000
GAS_ZERO_BYTE, GAS_BYTE = 4, 16
BPS = 10_000
#: EIP-1559: blocks aim at half their limit, and the base fee moves by an eighth a block at most.
ELASTICITY = 2
BASE_FEE_CHANGE_DENOMINATOR = 8
_MAX_WEI = 10**30

#: Venue names as settings have them.
VENUES = {name.removeprefix("VENUE_").lower(): number for name, number in market.Venue.items() if number}


class CostBreakdown(NamedTuple):
    """Native raw units (lamports, wei). ``base``: signatures or base fee burnt, and rent where it is counted."""

    base: int
    priority: int
    tip: int
    total: int


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ByVenue(_Model):
    @staticmethod
    def _known(table: dict[str, int]) -> dict[str, int]:
        for name, used in table.items():
            if name not in VENUES:
                raise ValueError(f"{name} is none of {', '.join(VENUES)}")
            if not 0 <= used <= 30_000_000:
                raise ValueError(f"{name} uses 0 to 30000000, not {used}")
        return table


class TipRule(_Model):
    """``absolute`` native units, or ``share_bps`` of the gross profit if that is more; never below ``least``.

    ``share_bps`` is that of 10,000. With nothing gained only the absolute part is tipped. ``least`` applies to any tip.
    """

    absolute: int = Field(0, ge=0, le=_MAX_WEI)
    share_bps: int = Field(0, ge=0, le=BPS)
    least: int = Field(0, ge=0, le=_MAX_WEI)

    def tip(self, gross_profit_native: int) -> int:
        """The tip on a gross profit, rounded down; 0 where the rule gives none."""
        tip = max(self.absolute, max(gross_profit_native, 0) * self.share_bps // BPS)
        return max(tip, self.least) if self.absolute or self.share_bps else 0


class SolanaCosts(_ByVenue):
    """Solana's rules. ``compute_units`` by venue add up to the limit that is requested, with ``overhead_units``.

    ``opened_accounts`` token accounts are counted with their rent as if they were never closed.
    """

    signatures: int = Field(1, ge=1, le=16)
    compute_unit_price_micro_lamports: int = Field(0, ge=0, le=10**12)
    compute_units: dict[str, int] = Field(default_factory=dict)
    default_units: int = Field(120_000, ge=0, le=MAX_COMPUTE_UNITS)
    overhead_units: int = Field(20_000, ge=0, le=MAX_COMPUTE_UNITS)
    opened_accounts: int = Field(0, ge=0, le=16)
    tip: TipRule = TipRule()

    @field_validator("compute_units")
    @classmethod
    def _venues(cls, table: dict[str, int]) -> dict[str, int]:
        return cls._known(table)

    def units(self, venues: Sequence[int]) -> int:
        """The compute-unit limit of a transaction with these swaps; a transaction cannot have more than 1.4 M."""
        table = {**_COMPUTE_UNITS, **{VENUES[name]: used for name, used in self.compute_units.items()}}
        wanted = self.overhead_units + sum(table.get(venue, self.default_units) for venue in venues)
        return min(wanted, MAX_COMPUTE_UNITS)

    def fees(self, venues: Sequence[int]) -> tuple[int, int]:
        """(base, priority) in lamports."""
        base = self.signatures * LAMPORTS_PER_SIGNATURE + self.opened_accounts * TOKEN_ACCOUNT_RENT_LAMPORTS
        return base, priority_fee_lamports(self.compute_unit_price_micro_lamports, self.units(venues))


class EthereumCosts(_ByVenue):
    """Ethereum's rules. ``gas`` by venue adds to the intrinsic gas, calldata and ``overhead_gas`` of one's contract.

    ``base_fee_wei`` is what the next block is expected to burn per gas (:func:`next_base_fee`). A priority fee of 0
    leaves the tip to the builder to pay for the place.
    """

    base_fee_wei: int = Field(0, ge=0, le=10**15)
    priority_fee_wei: int = Field(0, ge=0, le=10**15)
    gas: dict[str, int] = Field(default_factory=dict)
    default_gas: int = Field(150_000, ge=0, le=30_000_000)
    overhead_gas: int = Field(30_000, ge=0, le=30_000_000)
    calldata_bytes: int = Field(64, ge=0, le=1_000_000)
    calldata_zero_bytes: int = Field(64, ge=0, le=1_000_000)
    tip: TipRule = TipRule()

    @field_validator("gas")
    @classmethod
    def _venues(cls, table: dict[str, int]) -> dict[str, int]:
        return cls._known(table)

    def used(self, venues: Sequence[int]) -> int:
        """The gas of a transaction with these swaps."""
        table = {**_GAS, **{VENUES[name]: used for name, used in self.gas.items()}}
        calldata = self.calldata_bytes * GAS_BYTE + self.calldata_zero_bytes * GAS_ZERO_BYTE
        swaps = sum(table.get(venue, self.default_gas) for venue in venues)
        return INTRINSIC_GAS + calldata + self.overhead_gas + swaps

    def fees(self, venues: Sequence[int]) -> tuple[int, int]:
        """(burnt, priority) in wei."""
        gas = self.used(venues)
        return gas * self.base_fee_wei, gas * self.priority_fee_wei


class CostModel(_Model):
    """What an attempt costs on each chain; settings of a topology, or a policy that control sets.

    Every EVM chain goes by Ethereum's rules with settings of its own, ``evm`` by the chain's name; without any they
    are the defaults, never Ethereum's fees. ``fees`` are worked out once for each sequence of venues.
    """

    solana: SolanaCosts = SolanaCosts()
    ethereum: EthereumCosts = EthereumCosts()
    evm: dict[str, EthereumCosts] = Field(default_factory=dict, max_length=256)

    @field_validator("evm")
    @classmethod
    def _evm_chains(cls, value: dict[str, EthereumCosts]) -> dict[str, EthereumCosts]:
        return checked_evm(value)

    @cached_property
    def _evm(self) -> dict[int, EthereumCosts]:
        return {number_of(name): rule for name, rule in self.evm.items()}

    @cached_property
    def _fees(self) -> dict[tuple[int, Sequence[int]], tuple[int, int, TipRule]]:
        """Base and priority fee, and the rule of the tip, by chain and venues."""
        return {}

    def cost_native(self, chain: int, legs_venues: Sequence[int], gross_profit_native: int) -> CostBreakdown:
        """The cost of one attempt at a cycle through ``legs_venues`` (``Venue`` numbers, one a swap).

        ``gross_profit_native`` is the gross profit in the native raw unit, of which a tip may be a share. Raises
        KeyError for a chain that has no rule.
        """
        key = chain, tuple(legs_venues)
        known = self._fees.get(key)
        if known is None:
            rule = self._chain(chain)
            known = self._fees[key] = (*rule.fees(key[1]), rule.tip)
        base, priority, tips = known
        tip = tips.tip(gross_profit_native)
        return CostBreakdown(base, priority, tip, base + priority + tip)

    def _chain(self, chain: int) -> SolanaCosts | EthereumCosts:
        if chain == market.CHAIN_SOLANA:
            return self.solana
        if chain == market.CHAIN_ETHEREUM:
            return self.ethereum
        if is_evm(chain):
            return self._evm.get(chain, _NO_SETTINGS)
        raise KeyError(chain)


_NO_SETTINGS = EthereumCosts()


def priority_fee_lamports(price_micro_lamports: int, compute_unit_limit: int) -> int:
    """``ceil(price * limit / 10**6)``: the limit that is asked for counts, not what is used."""
    return -(-price_micro_lamports * compute_unit_limit // MICRO)


def next_base_fee(base_fee_wei: int, gas_used: int, gas_limit: int) -> int:
    """The next block's base fee per gas, as EIP-1559 computes it from this one's. Raises ValueError."""
    target = gas_limit // ELASTICITY
    if target <= 0 or not 0 <= gas_used <= gas_limit:
        raise ValueError(f"a block of limit {gas_limit} does not use {gas_used}")
    if gas_used == target:
        return base_fee_wei
    moved = base_fee_wei * abs(gas_used - target) // target // BASE_FEE_CHANGE_DENOMINATOR
    return base_fee_wei + max(moved, 1) if gas_used > target else base_fee_wei - moved


#: Compute units of one swap. Raydium CPMM and CLMM: docs.raydium.io, "Priority fee tuning" (SPL tokens, no tick
#: crossed); DLMM: swaps recorded among the fixtures use 46,812 to 63,904. The others are round estimates. A pool that
#: crosses ticks or bins needs more.
_COMPUTE_UNITS: Mapping[int, int] = {
    market.VENUE_ORCA_WHIRLPOOL: 90_000,
    market.VENUE_RAYDIUM_V4: 60_000,
    market.VENUE_RAYDIUM_CPMM: 140_000,
    market.VENUE_RAYDIUM_CLMM: 170_000,
    market.VENUE_METEORA_DLMM: 65_000,
    market.VENUE_SABER: 80_000,
}
#: Gas of one swap, token transfers included, without the transaction's intrinsic gas: round estimates.
_GAS: Mapping[int, int] = {
    market.VENUE_UNISWAP_V2: 90_000,
    market.VENUE_AERODROME_VOLATILE: 150_000,
    market.VENUE_AERODROME_STABLE: 180_000,
    market.VENUE_UNISWAP_V3: 130_000,
    market.VENUE_SLIPSTREAM: 150_000,
    market.VENUE_UNISWAP_V4: 130_000,
    market.VENUE_CURVE_STABLE: 160_000,
    market.VENUE_BALANCER_WEIGHTED: 130_000,
}
