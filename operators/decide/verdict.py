"""What became of a bid and what it brought: by a measurement, the attribution's default, or the landing rule."""

from __future__ import annotations

import math

from mevflow.operators.decide.bids import Bid
from mevflow.operators.decide.rows import number
from mevflow.operators.decide.settings import BanditSettings, ChainRules, share_as_float, share_of
from mevflow.operators.decide.swaplog import RecentSwaps
from mevflow.operators.decide.told import INACTIVE
from mevflow.operators.outcomes import EXPIRED, LANDED, MISSED, UNSEEN, Fate, LandingVerdict, judge, tip_raw


class Verdicts:
    """One chain's rules for bids.

    Parameters: the chain's ``rules``, the stage's ``settings``, whether outcomes come from outside
    (``takes_outcomes``), and the ``swaps`` that show who ended a cycle.
    """

    def __init__(self, rules: ChainRules, settings: BanditSettings, takes_outcomes: bool, swaps: RecentSwaps) -> None:
        self._rules = rules
        self._attribution = settings.attribution
        self._takes_outcomes = takes_outcomes
        self._swaps = swaps
        self._rival_share = math.nan if settings.rival_share is None else settings.rival_share

    def fate(self, bid: Bid) -> Fate:
        """What the stream has shown of a bid."""
        rules = self._rules
        attempt = bid.row_cost_usd if bid.cost_in_profit else rules.attempt_usd
        closed, rival = bid.closed, UNSEEN
        if closed:
            rival = self._swaps.rival(closed, bid.legs, rules.native_usd, rules.native_decimals)
        return Fate(
            decided_slot=bid.slot,
            latency_slots=rules.latency_slots,
            closed_slot=closed[0] if closed else None,
            expected_usd=bid.usd,
            landing_usd=min(bid.usd, bid.landing_usd),
            landed_cost_usd=0.0 if bid.cost_in_profit else attempt,
            missed_cost_usd=attempt * rules.missed_fee_share,
            rival=rival,
            rival_share=self._rival_share,
        )

    def verdict(self, bid: Bid, fate: Fate) -> tuple[LandingVerdict, int | None]:
        """What somebody measured, else what the attribution's default says; and the realised profit (None: unknown)."""
        told, default = bid.told, self._attribution.default
        if told is not None:
            return LandingVerdict(told.kind, told.reward_usd, f"measured=1 {told.evidence}".rstrip()), told.profit
        if not bid.active:
            return LandingVerdict(INACTIVE, 0.0, "activation=none"), None
        arm = bid.arms[bid.arm]
        share = share_as_float(arm)
        if self._takes_outcomes and share > 0.0 and default != "rule" and not math.isnan(fate.missed_cost_usd):
            if default == EXPIRED:
                return LandingVerdict(EXPIRED, 0.0, "state=unknown outcome=none"), None
            return LandingVerdict(MISSED, -fate.missed_cost_usd, "outcome=none default=missed"), 0
        verdict = judge(fate, share)
        if math.isnan(fate.missed_cost_usd):
            # Nothing is bid at an unknown cost; a bid from before the settings changed teaches nothing.
            kind, realized = (EXPIRED, None) if share > 0.0 else (verdict.kind, 0)
            return LandingVerdict(kind, 0.0, f"{verdict.evidence} cost=unknown"), realized
        if verdict.kind != LANDED:
            return verdict, 0
        net = number(bid.net)
        return verdict, min(net, number(bid.landing_net)) - tip_raw(net, share_of(arm))
