"""Who decides on one chain: a policy, what it is taught, and the one before it to go back to.

A policy fails in two ways. It cannot decide, for its numbers have run off: the learner goes back to the one before,
or to a fresh one. Its rewards are no longer what it expected: the learner forgets, or decides by the fallback for a
while.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from mevflow.operators.decide.bids import Bid, Counters, LearnerState, Settled
from mevflow.operators.decide.settings import BanditSettings, PolicySpec
from mevflow.operators.decide.told import INACTIVE
from mevflow.operators.errors import StateError
from mevflow.operators.learn import Policy, Proposal
from mevflow.operators.learn.drift import ResidualDrift
from mevflow.operators.learn.kernels import Bools, Floats, proper
from mevflow.operators.outcomes import EXPIRED, SKIPPED


class Learner:
    """The policy of one ``chain``: the stage's ``settings``, its ``spec``, and the ``counters`` that it adds to."""

    def __init__(self, chain: int, settings: BanditSettings, spec: PolicySpec, counters: Counters) -> None:
        self.chain = chain
        self.settings = settings
        self.counters = counters
        self.model_id = b""
        self.policy = spec.make()
        self._done: dict[bytes, Bid] = {}  # settled bids that can be corrected, oldest first
        self._drift = ResidualDrift()
        self._fallback_until = 0  # after an alarm
        # The policy before the last change, and its spec: where to go back to when the present one fails.
        self._former_spec: PolicySpec | None = None
        self._former = b""
        self.adopt(spec, self.policy)

    def replace(self, spec: PolicySpec, policy: Policy, model_id: bytes, heir: bool) -> None:
        """Decide by another policy from now on, and keep the present one to go back to."""
        self._former_spec, self._former = self.spec, self.policy.snapshot(self.chain)
        self.model_id = model_id
        self.adopt(spec, policy, heir)

    def adopt(self, spec: PolicySpec, policy: Policy, heir: bool = False) -> None:
        """Decide by another policy from now on. Bids in flight teach it where it has their arm.

        ``heir``: it has what the present one learned, where it has the arm; of others nothing can be corrected.
        """
        heir = heir and (policy.name, policy.updates) == (self.policy.name, self.policy.updates)
        self._keep_lessons(spec.arms if heir else ())
        self.spec = spec
        self.policy = policy
        self._context_bytes = 8 * spec.features
        self._known = {arm: index for index, arm in enumerate(spec.arms)}
        self.shares = np.array([float(share) for share in spec.shares])

    def snapshot(self) -> LearnerState:
        """All that was learned."""
        return LearnerState(
            policy=self.policy.snapshot(self.chain),
            drift=self._drift,
            fallback_until=self._fallback_until,
            done=self._done,
            former_spec=self._former_spec,
            former=self._former,
        )

    def restore(self, state: LearnerState, model_id: bytes, heir: bool) -> None:
        """Take a snapshot. Raises StateError when the policy's state does not fit. ``heir``: see :meth:`adopt`."""
        self.policy.restore(state.policy)
        self.model_id = model_id
        self._drift, self._fallback_until, self._done = state.drift, state.fallback_until, state.done
        self._keep_lessons(self.spec.arms if heir else ())
        self._former_spec, self._former = state.former_spec, state.former

    def propose(self, x: Floats, eligible: Bools) -> tuple[Proposal, int]:
        """What the policy would choose for columns ``x``, and for how many of them, from the first, it is proper.

        Raises ArithmeticError where the policy's numbers cannot be decided with.
        """
        fallback, fixed = self.settings.fallback, None
        if fallback is not None and fallback.arm in self.spec.arms:
            until = max(fallback.below, self._fallback_until)
            fixed = self.spec.arms.index(fallback.arm) if self.policy.updates < until else None
        proposal = self.policy.propose(x, eligible, fixed)
        return proposal, proper(proposal.propensities, eligible)

    def roll_back(self) -> None:
        """The policy cannot decide: go back to the one before it, or to a fresh one."""
        self.counters.rollbacks += 1
        spec, state = self._former_spec, self._former
        self._former_spec, self._former, self.model_id = None, b"", b""
        if spec is None:
            self._forget()
            return
        policy = spec.make()
        try:
            policy.restore(state)
        except StateError:
            policy = spec.make()
        self.adopt(spec, policy)

    def learn(self, settled: list[Settled]) -> None:
        """Teach the policy the utility of rewards, and watch how far they are from what it expected.

        ``settled`` holds afterwards what was learned, and which of them made the detector cry.
        """
        known = self._known
        for item in settled:
            item.utility = self._utility(item)
        if self.settings.frozen:
            self.counters.unlearned += len(settled)
            return
        taught = [
            item
            for item in settled
            if item.bid.arms[item.bid.arm] in known
            and item.bid.usd > 0.0
            # One that was made when there were other features teaches nothing.
            and len(item.bid.context) == self._context_bytes
            and item.verdict.kind not in (INACTIVE, EXPIRED)
        ]
        self.counters.unlearned += len(settled) - len(taught)
        # Skips always bring 0: only bids say whether the market has moved.
        watched = [i for i, item in enumerate(taught) if item.verdict.kind != SKIPPED]
        rewards = np.array([taught[i].utility for i in watched])
        expected = np.array([taught[i].bid.expected for i in watched])
        seen = start = 0
        while seen < len(watched):
            moved = self._drift.first(rewards[seen:], expected[seen:], self.settings.drift_threshold)
            if moved < 0:
                break
            seen += moved + 1
            alarm = watched[seen - 1]
            taught[alarm].drift = True
            self.counters.drift_alarms += 1
            self._teach(taught[start : alarm + 1])
            start = alarm + 1
            if self.settings.on_drift == "relearn":
                self._forget()
                for forgotten in taught[:start]:
                    forgotten.bid.learned_at = -1
            elif self.settings.on_drift == "fallback" and self.settings.fallback is not None:
                self._fallback_until = self.policy.updates + self.settings.fallback.below
        self._teach(taught[start:] if start else taught)

    def settled(self, identifier: bytes) -> Bid | None:
        """A settled bid that can be corrected."""
        return self._done.get(identifier)

    def keep(self, settled: list[Settled]) -> None:
        """Remember settled bids, as many as the settings say: a later word may correct them."""
        for item in settled:
            item.bid.utility, item.bid.revision = item.utility, item.revision
            self._done[item.bid.decision_id] = item.bid
        while len(self._done) > self.settings.attribution.keep:
            del self._done[next(iter(self._done))]

    def correct(self, item: Settled) -> None:
        """Unlearn the difference between what was learned of ``item.bid`` and what ``item`` says; write its utility."""
        bid = item.bid
        item.utility = self._utility(item)
        known = bid.learned_at >= 0 and bid.policy == self.spec.policy and bid.arms[bid.arm] in self._known
        known = known and len(bid.context) == self._context_bytes
        arm = self._known[bid.arms[bid.arm]] if known else -1
        if not known or not self.policy.correct(
            np.frombuffer(bid.context), arm, bid.utility, item.utility, bid.propensity, bid.learned_at
        ):
            self.counters.uncorrected += 1

    def _utility(self, item: Settled) -> float:
        """A reward as the policy sees it, within [-1, 1]."""
        scale = self.settings.utility_cap_usd if self.settings.utility == "usd" else item.bid.usd
        return min(max(item.verdict.reward_usd / scale, -1.0), 1.0) if scale > 0.0 else 0.0

    def _teach(self, taught: list[Settled]) -> None:
        if not taught:
            return
        known = self._known
        bids = [item.bid for item in taught]
        for count, bid in enumerate(bids, self.policy.updates + 1):
            bid.learned_at = count
        self.policy.update(
            np.frombuffer(b"".join([bid.context for bid in bids])).reshape(len(bids), -1),
            np.array([known[bid.arms[bid.arm]] for bid in bids]),
            np.array([item.utility for item in taught]),
            np.array([bid.propensity for bid in bids]),
        )

    def _keep_lessons(self, arms: Collection[str]) -> None:
        """Settled bids on other arms were not learned by the policy that decides from now on."""
        for bid in self._done.values():
            if bid.arms[bid.arm] not in arms:
                bid.learned_at = -1

    def _forget(self) -> None:
        """Learn anew; the model version goes on counting."""
        fresh = self.spec.make()
        fresh.updates = self.policy.updates
        for bid in self._done.values():
            bid.learned_at = -1
        self.policy = fresh
        self.model_id = b""
