"""What one chain keeps of its decisions: bids in flight, episodes, and what is told of bids once they are settled."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from mevflow.operators.decide.settings import PolicySpec
from mevflow.operators.decide.told import Told
from mevflow.operators.learn.drift import ResidualDrift
from mevflow.operators.learn.kernels import Floats, Ints, Seeds
from mevflow.operators.outcomes import Fate, LandingVerdict


class Bid(msgspec.Struct, gc=False):
    """A decision whose outcome is not known yet. Amounts are i128 in 16 bytes; ``landing_*`` follows the stream."""

    decision_id: bytes
    opportunity_id: bytes
    cycle: bytes
    slot: int
    timestamp_us: int
    source: tuple[str, int, int]
    legs: list[tuple[bytes, bytes]]
    net: bytes
    usd: float
    cost_in_profit: bool
    row_cost_usd: float
    landing_net: bytes
    landing_usd: float
    closed: tuple[int, int, int] | None = None
    arms: list[str] = []
    arm: int = -1
    propensity: float = 0.0
    propensities: bytes = b""  # float64, one an arm
    context: bytes = b""  # float64, one a feature
    policy: str = ""
    policy_version: int = 0
    episode_id: bytes = b""
    attempt: int = 0  # of its episode, from 0
    expected: float = 0.0  # utility, when it was bid for
    active: bool = True
    told: Told | None = None  # what somebody measured

    # Once it is settled: what was learned from it, and after how many rewards.
    utility: float = 0.0
    learned_at: int = -1
    revision: int = 0


class Episode(msgspec.Struct, gc=False):
    """A cycle that pays: its last profit, the bid in flight, whether a bid has landed on it, and decisions so far."""

    net: bytes
    id: bytes = b""
    bid: bytes = b""
    spent: bool = False
    attempts: int = 0
    implausible: bool = False  # it was once, and has been told of


class Counters(msgspec.Struct):
    """What happened beside decisions."""

    duplicates: int = 0
    evicted_bids: int = 0
    evicted_cycles: int = 0
    unlearned: int = 0
    implausible: int = 0
    told_twice: int = 0
    told_early: int = 0
    told_forgotten: int = 0
    corrections: int = 0
    uncorrected: int = 0
    rollbacks: int = 0
    forced_skips: int = 0  # decisions that had no other arm
    drift_alarms: int = 0
    reward_delay_slots: int = 0  # of all that was settled


class LearnerState(msgspec.Struct):
    """A snapshot of who decides on one chain; the stage keeps what the policy is made of."""

    policy: bytes
    drift: ResidualDrift
    fallback_until: int
    done: dict[bytes, Bid]
    former_spec: PolicySpec | None
    former: bytes


class BidMarketState(LearnerState):
    """A snapshot of one chain."""

    clock: int
    frontier: int
    sequence: int
    episodes: dict[bytes, Episode]
    bids: list[Bid]
    due: list[tuple[int, int, bytes]]
    swaps: bytes
    counters: Counters
    early: dict[bytes, list[Told]]


class Segment(msgspec.Struct, frozen=True, gc=False):
    """Rows decided together: ``rows`` of the batch, chosen arms and, as ``[arms, rows]``, scores and chances."""

    rows: Ints
    ids: list[bytes]
    seeds: Seeds
    chosen: Ints
    scores: Floats
    propensities: Floats
    expected: Floats
    eligible: np.ndarray
    model_version: int
    exploration: float
    spec: PolicySpec
    model_id: bytes
    episodes: list[bytes]
    attempts: list[int]


class Settled(msgspec.Struct, gc=False):
    """A bid's outcome. ``trigger`` is the batch's row that was about to come, ``fate`` None for one that expired.

    ``realized`` is the profit less the tip in raw units of the profit's token; None: nobody knows it.
    """

    trigger: int
    slot: int
    bid: Bid
    verdict: LandingVerdict
    realized: int | None
    fate: Fate | None
    utility: float = 0.0  # what was learned, in [-1, 1]
    drift: bool = False  # its reward made the detector cry
    measured: bool = False
    revision: int = 0
    correction: bool = False  # of what was settled before


@dataclass(slots=True)
class SettledRows:
    """What one call gives."""

    segments: list[Segment] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    implausible: list[tuple[int, bytes]] = field(default_factory=list)  # row and episode, the first of each episode
