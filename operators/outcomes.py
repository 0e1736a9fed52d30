"""What became of a bid, as far as the recorded stream can say.

The stream shows how long a cycle paid and who ended it. It never shows our own transaction (nothing was sent),
failed bids, or what a tip would have bought. So landing is a rule over what is seen, with every assumption a setting:

* our transaction reaches the chain ``latency_slots`` after the event that it answers;
* a cycle that stopped paying before that slot is **gone**: the bid misses;
* a cycle that still paid after that slot was **open**: the bid lands. Nobody else wanted it by then;
* a cycle that stopped paying in that very slot was **contested**: against a rival whose tip and priority fee are in
  the stream the higher bid wins; where they are not, the bid wins when its tip share is at least ``rival_share``
  (an assumption, named in the evidence; without one, contested bids miss);
* a landed bid gets the smaller of the profit it was sized for and the profit at landing. The transaction guards
  itself: when what is left would not pay the tip, it reverts and counts as missed.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import msgspec
import numba
import numpy as np
import numpy.typing as npt

LANDED, MISSED, SKIPPED, EXPIRED = "landed", "missed", "skipped", "expired"
STATES = ("open", "contested", "gone")
_OPEN, _CONTESTED, _GONE = 0, 1, 2

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_jit: Any = numba.njit(cache=True, nogil=True)


class Rival(msgspec.Struct, frozen=True, gc=False):
    """Who ended the cycle. ``bid_usd`` is None when the data has neither tip nor priority fee."""

    kind: str  # round_trip | swap | unseen
    signer: bytes = b""
    bid_usd: float | None = None


#: Who ended a cycle is not in the data, or nobody did.
UNSEEN = Rival("unseen")


class Fate(msgspec.Struct, gc=False):
    """What the stream says of one cycle after a decision at ``decided_slot``.

    ``closed_slot`` is None while the cycle pays. ``landing_usd`` is its profit at the landing slot (or at the last
    event before it closed), capped by what the bid was sized for; costs are for one attempt, in USD.
    """

    decided_slot: int
    latency_slots: int
    closed_slot: int | None
    expected_usd: float
    landing_usd: float
    landed_cost_usd: float
    missed_cost_usd: float
    rival: Rival
    rival_share: float  # NaN: nothing is assumed

    @property
    def state(self) -> int:
        """Where the cycle stands in the slot in which our transaction would arrive: an index of STATES."""
        arrival = self.decided_slot + self.latency_slots
        if self.closed_slot is None or self.closed_slot > arrival:
            return _OPEN
        return _CONTESTED if self.closed_slot == arrival else _GONE

    @property
    def rival_usd(self) -> float:
        """The rival's bid, NaN when the data has none."""
        return math.nan if self.rival.bid_usd is None else self.rival.bid_usd


class LandingVerdict(msgspec.Struct, frozen=True, gc=False):
    """One arm's outcome: kind, reward in USD after tip and costs, and what it rests on (``key=value`` words)."""

    kind: str
    reward_usd: float
    evidence: str


@_jit
def lands(
    state: int, expected_usd: float, landing_usd: float, rival_usd: float, rival_share: float, share: float
) -> bool:
    """Whether a bid lands. ``state`` indexes STATES; NaN is a rival bid or an assumption that is not there."""
    if state == _GONE or landing_usd <= expected_usd * share:
        return False
    if state == _OPEN:
        return True
    if not math.isnan(rival_usd):
        return expected_usd * share > rival_usd
    return share >= rival_share  # False for NaN


_lands = lands.py_func  # for one bid: arguments of a compiled function cost more than the rule itself


@_jit
def rewards_usd(
    state: Ints,
    expected_usd: Floats,
    landing_usd: Floats,
    rival_usd: Floats,
    rival_share: float,
    landed_cost_usd: Floats,
    missed_cost_usd: Floats,
    shares: Floats,
) -> Floats:
    """``reward[bid, arm]`` of every tip share for every bid; a share of 0 is a skip and brings nothing."""
    out = np.zeros((state.shape[0], shares.shape[0]))
    for i in range(state.shape[0]):
        for arm in range(shares.shape[0]):
            share = shares[arm]
            if share > 0.0:
                if lands(state[i], expected_usd[i], landing_usd[i], rival_usd[i], rival_share, share):
                    out[i, arm] = landing_usd[i] - expected_usd[i] * share - landed_cost_usd[i]
                else:
                    out[i, arm] = -missed_cost_usd[i]
    return out


def judge(fate: Fate, share: float) -> LandingVerdict:
    """The outcome of bidding ``share`` (0: skip), with its evidence."""
    state = fate.state
    words = f"state={STATES[state]} latency_slots={fate.latency_slots}"
    if fate.closed_slot is not None:
        words += f" closed_slot={fate.closed_slot} closed_by={fate.rival.kind}"
        if fate.rival.signer:
            words += f" signer={fate.rival.signer.hex()}"
    if share == 0.0:
        return LandingVerdict(SKIPPED, 0.0, words)
    if state == _CONTESTED:
        words += f" {_grounds(fate)}"
    tip_usd = fate.expected_usd * share
    if _lands(state, fate.expected_usd, fate.landing_usd, fate.rival_usd, fate.rival_share, share):
        return LandingVerdict(LANDED, fate.landing_usd - tip_usd - fate.landed_cost_usd, words)
    if state != _GONE and fate.landing_usd <= tip_usd:
        words += " reverted=profit_below_tip"
    return LandingVerdict(MISSED, -fate.missed_cost_usd, words)


def _grounds(fate: Fate) -> str:
    """What a contested slot was decided on."""
    if not math.isnan(fate.rival_usd):
        return f"rival_bid_usd={fate.rival_usd:.6g}"
    if math.isnan(fate.rival_share):
        return "rival_bid=unknown"
    return f"rival_bid=unknown assumed_rival_share={fate.rival_share:g}"


def tip_raw(net: int, share: Fraction) -> int:
    """The tip in raw units of the profit's token: the exact floor of ``net * share``, 0 for a loss."""
    return max(net, 0) * share.numerator // share.denominator
