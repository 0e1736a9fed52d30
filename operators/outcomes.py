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

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

LANDED, MISSED, SKIPPED, EXPIRED = "landed", "missed", "skipped", "expired"
OPEN, CONTESTED, GONE = "open", "contested", "gone"


@dataclass(frozen=True, slots=True)
class Rival:
    """Who ended the cycle. ``bid_usd`` is None when the data has neither tip nor priority fee."""

    kind: str  # round_trip | swap | unseen
    signer: bytes = b""
    bid_usd: float | None = None


@dataclass(slots=True)
class Fate:
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
    rival_share: float | None

    @property
    def state(self) -> str:
        """gone | contested | open at the slot in which our transaction would arrive."""
        arrival = self.decided_slot + self.latency_slots
        if self.closed_slot is None or self.closed_slot > arrival:
            return OPEN
        return CONTESTED if self.closed_slot == arrival else GONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """One arm's outcome: kind, reward in USD after tip and costs, and what it rests on (``key=value`` words)."""

    kind: str
    reward_usd: float
    evidence: str


def rewards_usd(fate: Fate, shares: Sequence[float]) -> list[float]:
    """The reward of bidding each share of the expected profit; a share of 0 is a skip and brings nothing."""
    state = fate.state
    landing, expected = fate.landing_usd, fate.expected_usd
    missed, kept = 0.0 - fate.missed_cost_usd, landing - fate.landed_cost_usd
    rewards = []
    for share in shares:
        tip_usd = expected * share
        if share == 0.0:
            rewards.append(0.0)
        elif landing > tip_usd and (state == OPEN or (state == CONTESTED and _beats(fate, share))):
            rewards.append(kept - tip_usd)
        else:
            rewards.append(missed)
    return rewards


def judge(fate: Fate, share: float) -> Verdict:
    """The outcome of bidding ``share`` (0: skip), with its evidence."""
    state = fate.state
    words = f"state={state} latency_slots={fate.latency_slots}"
    if fate.closed_slot is not None:
        words += f" closed_slot={fate.closed_slot} closed_by={fate.rival.kind}"
        if fate.rival.signer:
            words += f" signer={fate.rival.signer.hex()}"
    (reward,) = rewards_usd(fate, (share,))
    if share == 0.0:
        return Verdict(SKIPPED, reward, words)
    landed = state == OPEN
    if state == CONTESTED:
        landed = _beats(fate, share)
        words += f" {_grounds(fate)}"
    if landed and fate.landing_usd <= fate.expected_usd * share:
        landed = False
        words += " reverted=profit_below_tip"
    return Verdict(LANDED if landed else MISSED, reward, words)


def _beats(fate: Fate, share: float) -> bool:
    """Whether our bid goes before the rival's in a contested slot."""
    if fate.rival.bid_usd is not None:
        return fate.expected_usd * share > fate.rival.bid_usd
    return fate.rival_share is not None and share >= fate.rival_share


def _grounds(fate: Fate) -> str:
    """What a contested slot was decided on."""
    if fate.rival.bid_usd is not None:
        return f"rival_bid_usd={fate.rival.bid_usd:.6g}"
    if fate.rival_share is None:
        return "rival_bid=unknown"
    return f"rival_bid=unknown assumed_rival_share={fate.rival_share:g}"


def tip_raw(net: int, share: Fraction) -> int:
    """The tip in raw units of the profit's token: the exact floor of ``net * share``, 0 for a loss."""
    return max(net, 0) * share.numerator // share.denominator
