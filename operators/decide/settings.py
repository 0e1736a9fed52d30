"""What ``bandit.decide`` can be told, in a topology file and by a control command."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field, field_validator, model_validator

from mevflow.operators.chains import ETHEREUM, SOLANA, checked_evm, names, number_of
from mevflow.operators.decide.features import FEATURES
from mevflow.operators.decide.plausible import Plausible
from mevflow.operators.decide.scores import score_features
from mevflow.operators.decide.told import Attribution
from mevflow.operators.errors import UsageError
from mevflow.operators.learn import Policy, make_policy
from mevflow.operators.learn.state import MAX_ARMS
from mevflow.operators.stage import Settings

#: The arm that bids nothing. Always there, always last, always eligible.
SKIP = "skip"

#: Decimal text, with an exponent of at most two digits: an exact fraction of more would not fit into memory.
_SHARE = re.compile(r"(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,2})?", re.ASCII)

#: A node's name.
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


@lru_cache(1024)
def share_of(arm: str) -> Fraction:
    """The tip share that an arm's name says, exactly; 0 for skip. Raises ValueError for anything else."""
    if arm == SKIP:
        return Fraction(0)
    if not _SHARE.fullmatch(arm):
        raise ValueError("a tip share is decimal text of at most 30 digits on either side")
    return Fraction(arm)


@lru_cache(1024)
def share_as_float(arm: str) -> float:
    """:func:`share_of` as a float."""
    return float(share_of(arm))


class ChainRules(Settings):
    """Assumptions about one chain. None of them can be read from the swap stream.

    ``attempt_fee_raw`` is what one transaction costs in the chain's smallest native unit, and ``native_usd`` what a
    whole native token is worth (null: not known); ``missed_fee_share`` is how much of the fee a bid that misses still
    pays. Where neither these nor the rows say what an attempt costs, nothing is bid.
    """

    latency_slots: int = Field(ge=0, le=10_000)
    window_slots: int = Field(ge=0, le=100_000)
    attempt_fee_raw: int | None = Field(ge=0)
    native_decimals: int = Field(ge=0, le=30)
    native_usd: float | None = Field(ge=0.0, allow_inf_nan=False)
    missed_fee_share: float = Field(default=1.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _window_covers_latency(self) -> ChainRules:
        if self.window_slots < self.latency_slots:
            raise ValueError("window_slots must be at least latency_slots")
        return self

    @property
    def fee_raw(self) -> int | None:
        """The fee of one attempt in the smallest native unit; None: not known."""
        return self.attempt_fee_raw

    @property
    def attempt_usd(self) -> float:
        """The fee of one attempt in USD; NaN where it or the native token's worth is not known."""
        if self.fee_raw is None or self.native_usd is None:
            return math.nan
        return float(Fraction(self.fee_raw, 10**self.native_decimals)) * self.native_usd


class EvmRules(ChainRules):
    """Assumptions about an EVM chain; none of its fees is known until it is told.

    The fee is ``gas * (base_fee_wei + priority_fee_wei)`` as EIP-1559 has it, or ``attempt_fee_raw`` where that is
    told.
    """

    latency_slots: int = Field(default=1, ge=0, le=10_000)
    window_slots: int = Field(default=3, ge=0, le=100_000)
    attempt_fee_raw: int | None = Field(default=None, ge=0)
    native_decimals: int = Field(default=18, ge=0, le=30)
    native_usd: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    gas: int = Field(default=200_000, ge=21_000, le=30_000_000)
    base_fee_wei: int | None = Field(default=None, ge=0, le=10**18)
    priority_fee_wei: int = Field(default=0, ge=0, le=10**18)

    @property
    def fee_raw(self) -> int | None:
        """The fee of one attempt in wei; None: not known."""
        if self.attempt_fee_raw is not None or self.base_fee_wei is None:
            return self.attempt_fee_raw
        return self.gas * (self.base_fee_wei + self.priority_fee_wei)


class Fallback(Settings):
    """A fixed tip (or ``skip``) to prefer while too little is known, under the exploration floor like any policy.

    It holds for a chain's first ``below`` rewards, and with ``on_drift: fallback`` for as many after an alarm.
    """

    arm: str
    below: int = Field(default=100, ge=1)


class PolicySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which policy decides. Arms are tip shares as decimal text; version 0 is the topology file's own."""

    policy: str
    arms: list[str]
    exploration: float
    options: dict[str, float] = {}
    version: int = 0
    hold: int = 4
    features: int = len(FEATURES)

    @property
    def shares(self) -> list[Fraction]:
        """The tip share of every arm as an exact fraction; 0 for skip."""
        return [share_of(arm) for arm in self.arms]

    def make(self) -> Policy:
        """A fresh policy. Raises UsageError when the spec is out of bounds."""
        if not 2 <= len(self.arms) <= MAX_ARMS:
            raise UsageError(f"{len(self.arms)} arms, not 2 to {MAX_ARMS}", key="arms")
        if len(set(self.arms)) != len(self.arms):
            raise UsageError("an arm is named twice", key="arms")
        if self.arms[-1] != SKIP:
            raise UsageError(f"the last arm must be {SKIP!r}", key="arms")
        for arm in self.arms[:-1]:
            try:
                share = share_of(arm)
            except ValueError:
                raise UsageError(f"arm {arm[:64]!r} is neither a tip share nor {SKIP!r}", key="arms") from None
            if not 0 < share <= 1:
                raise UsageError(f"tip share {arm[:64]} is not in (0, 1]", key="arms")
        return make_policy(
            self.policy, len(self.arms), self.features, self.exploration, self.options, self.hold, self.arms
        )


def _arm_names(given: Any) -> Any:
    """Numbers as decimal text, ``skip`` moved to the end (and added when it is missing)."""
    if not isinstance(given, list | tuple):
        return given
    if not all(isinstance(arm, str | int | float) for arm in given):
        return given
    try:
        names = [arm if isinstance(arm, str) else format(arm, ".12g") for arm in given]
    except OverflowError:
        raise ValueError("a tip share is a number in (0, 1]") from None
    return (*(arm for arm in names if arm != SKIP), SKIP)


class BanditSettings(Settings):
    """Settings of ``bandit.decide``.

    ``exploration_hold`` is after how many rewards the exploration floor begins to fall, as ``exploration *
    sqrt(exploration_hold / rewards)``; 0: never. ``utility`` is what the policy maximises: ``usd`` (the reward in USD,
    where ``utility_cap_usd`` counts as 1 and more does not count more) or ``share`` (of the expected profit).
    ``frozen``: nothing is learned. ``fallback``: see :class:`Fallback`. ``scores`` are ``river.model`` nodes whose
    scores are features (port ``scores``, see scores.py).

    ``rival_share`` is the tip share that a rival in a contested slot is assumed to bid when the data does not show it
    (null: such bids miss). ``evm`` has rules of other EVM chains by name; without any nothing is bid there unless the
    rows carry their cost. ``drift_threshold`` is Page-Hinkley's, in spreads of the residuals of bids; ``on_drift:
    relearn`` forgets what a chain has learned. ``max_open`` and ``max_cycles`` bound memory, a chain.
    """

    policy: str = "tip-linucb"
    arms: Annotated[tuple[str, ...], BeforeValidator(_arm_names)] = ("0.1", "0.25", "0.5", "0.75", "0.9", SKIP)
    exploration: float = 0.05
    exploration_hold: int = Field(default=4, ge=0)
    options: dict[str, float] = Field(default_factory=dict)
    policy_version: int = Field(default=0, ge=0)
    scores: tuple[ModelName, ...] = Field(default=(), max_length=8)
    utility: Literal["usd", "share"] = "usd"
    utility_cap_usd: float = Field(default=10.0, gt=0.0, allow_inf_nan=False)
    frozen: bool = False
    fallback: Fallback | None = None
    plausible: Plausible = Plausible()
    attribution: Attribution = Attribution()
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    rival_share: float | None = Field(default=0.5, ge=0.0, le=1.0)
    solana: ChainRules = ChainRules(
        latency_slots=2, window_slots=8, attempt_fee_raw=5_000, native_decimals=9, native_usd=120.0
    )
    ethereum: ChainRules = ChainRules(
        latency_slots=1,
        window_slots=3,
        attempt_fee_raw=4_000_000_000_000_000,  # 200,000 gas at 20 gwei
        native_decimals=18,
        native_usd=2_250.0,
    )
    evm: dict[str, EvmRules] = Field(default_factory=dict, max_length=256)
    drift_threshold: float = Field(default=40.0, gt=0.0)
    on_drift: Literal["report", "relearn", "fallback"] = "report"
    max_open: int = Field(default=100_000, ge=1)
    max_cycles: int = Field(default=200_000, ge=1)
    max_swaps_per_slot: int = Field(default=8_192, ge=1)

    @field_validator("evm")
    @classmethod
    def _evm_chains(cls, value: dict[str, EvmRules]) -> dict[str, EvmRules]:
        return checked_evm(value)

    @model_validator(mode="after")
    def _policy_fits(self) -> BanditSettings:
        try:
            self.spec.make()
        except UsageError as error:
            raise ValueError(f"{error.key}: {error.message} {error.hint}".strip()) from None
        if self.fallback is not None and self.fallback.arm not in self.arms:
            raise ValueError(f"fallback: {self.fallback.arm!r} is none of the arms {', '.join(self.arms)}")
        if self.on_drift == "fallback" and self.fallback is None:
            raise ValueError("on_drift: fallback needs a fallback")
        return self

    @field_validator("scores")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a model is named twice")
        return value

    @property
    def features(self) -> tuple[str, ...]:
        """What the policy sees, by name."""
        return (*FEATURES, *score_features(self.scores))

    def rules(self) -> dict[int, ChainRules]:
        """The rules of every chain that has a name, or has rules under ``evm``, by its number."""
        evm = {number_of(name): rule for name, rule in self.evm.items()}
        named: dict[int, ChainRules] = {number_of(name): EvmRules() for name in names()}
        return dict(sorted({**named, **evm, SOLANA: self.solana, ETHEREUM: self.ethereum}.items()))

    @property
    def spec(self) -> PolicySpec:
        """The policy that the topology file asks for."""
        return PolicySpec(
            self.policy,
            list(self.arms),
            self.exploration,
            dict(self.options),
            self.policy_version,
            self.exploration_hold,
            len(self.features),
        )
