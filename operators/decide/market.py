"""The decisions of one chain: which rows to decide on, which bids are in flight, when they are settled.

Everything happens in chain order. A bid made at slot ``s`` is settled before the first row of a slot above
``s + window_slots``, so what it teaches is never used before the stream has shown it. Between two settlements
the policy does not change, so the rows between them are scored in one call.

One bid at a time flies for a cycle, and an episode in which a bid landed is spent: the recorded pools do not
know of our trade, so a second bid on the same gap would be paid twice.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import xxhash

from mevflow.operators.decide.eligible import eligible_arms
from mevflow.operators.decide.rows import OpportunityColumns, number
from mevflow.operators.decide.settings import BanditSettings, ChainRules, PolicySpec, share_as_float, share_of
from mevflow.operators.decide.swaplog import RecentSwaps
from mevflow.operators.decide.told import ACTIVATED, INACTIVE, Told
from mevflow.operators.errors import StateError
from mevflow.operators.learn import Policy, Proposal, draw
from mevflow.operators.learn.drift import ResidualDrift
from mevflow.operators.learn.kernels import Bools, Floats, Ints, Seeds, proper
from mevflow.operators.outcomes import EXPIRED, LANDED, MISSED, SKIPPED, UNSEEN, Fate, LandingVerdict, judge, tip_raw
from mevflow.operators.switch import Off

#: One list for all bids that have none: thousands of empty ones would keep the garbage collector busy.
_NO_LEGS: list[tuple[bytes, bytes]] = []


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


class BidMarketState(msgspec.Struct):
    """A snapshot of one chain."""

    policy: bytes
    clock: int
    frontier: int
    sequence: int
    episodes: dict[bytes, Episode]
    bids: list[Bid]
    due: list[tuple[int, int, bytes]]
    swaps: bytes
    counters: Counters
    drift: ResidualDrift
    fallback_until: int
    early: dict[bytes, list[Told]]
    done: dict[bytes, Bid]
    former_spec: PolicySpec | None
    former: bytes


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


class BidMarket:
    """One chain's episodes, bids and policy."""

    def __init__(
        self,
        chain: int,
        rules: ChainRules,
        settings: BanditSettings,
        spec: PolicySpec,
        prefix: bytes,
        takes_outcomes: bool = False,
    ) -> None:
        self.chain = chain
        self.rules = rules
        self.settings = settings
        self.counters = Counters()
        self.model_id = b""
        self.policy = spec.make()
        self._drift = ResidualDrift()
        self._attempt_usd = rules.attempt_usd
        self._rival_share = math.nan if settings.rival_share is None else settings.rival_share
        self._prefix = prefix
        self._takes_outcomes = takes_outcomes
        self._fallback_until = 0  # after an alarm
        # The learner before the last change, and its spec: where to go back to when the present one fails.
        self._former_spec: PolicySpec | None = None
        self._former = b""
        self._clock = 0  # highest slot of an opportunity row
        self._frontier = 0  # highest slot of a swap
        self._sequence = 0
        self._episodes: dict[bytes, Episode] = {}
        self._early: dict[bytes, list[Told]] = {}  # words whose decision has not been made
        self._done: dict[bytes, Bid] = {}  # settled bids that can be corrected, oldest first
        self._deferred = settings.attribution.activation == "deferred"
        self._window = max(rules.window_slots, settings.attribution.window_slots)
        self._bids: dict[bytes, Bid] = {}
        self._due: list[tuple[int, int, bytes]] = []
        self._swaps = RecentSwaps(settings.max_swaps_per_slot)
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
        self._shares = np.array([float(share) for share in spec.shares])

    def _keep_lessons(self, arms: Collection[str]) -> None:
        """Settled bids on other arms were not learned by the policy that decides from now on."""
        for bid in self._done.values():
            if bid.arms[bid.arm] not in arms:
                bid.learned_at = -1

    def decide(self, rows: OpportunityColumns, indices: Ints, off: Callable[[], Off], out: SettledRows) -> None:
        """Go through the batch's rows of this chain in order; nothing is decided about what is ``off``.

        That may change while this runs: it is asked again for every row, and once more before the policy chooses.
        """
        waiting: list[int] = []
        ids: list[bytes] = []
        slots = rows.slot
        for i in indices.tolist():
            slot = slots[i]
            if self._due and self._due[0][0] < slot:
                self._score(rows, waiting, ids, off(), out)
                waiting, ids = [], []
                self._settle(slot, i, out)
            if slot > self._clock:
                self._clock = slot
            identifier = self._track(rows, i, off(), out)
            if identifier:
                waiting.append(i)
                ids.append(identifier)
                if len(self._bids) > self.settings.max_open:
                    self._score(rows, waiting, ids, off(), out)
                    waiting, ids = [], []
                    self._evict(i, out)
        self._score(rows, waiting, ids, off(), out)

    def swaps(self, batch: pa.RecordBatch) -> None:
        """Take swaps; they settle nothing before :meth:`caught_up`."""
        self._swaps.add(batch)
        self._frontier = max(self._frontier, int(batch.column("slot").to_numpy().max()))

    def caught_up(self, out: SettledRows) -> None:
        """Upstream has given the opportunities of all swaps so far: settle what those swaps have made due."""
        self._settle(self._frontier, -1, out)
        # No bid in flight answers to an event before that of the bid that is due first.
        first = self._bids[self._due[0][2]].slot if self._due else self._frontier
        self._swaps.forget(min(first, self._frontier))

    def finish(self, out: SettledRows) -> None:
        """The stream has ended: settle what is due, and let the rest expire without a lesson."""
        self._settle(max(self._clock, self._frontier), -1, out)
        while self._due:
            self._expire("state=unknown stream_ended=1", -1, out)

    def snapshot(self) -> BidMarketState:
        """All state of this chain; the policy's spec is kept by the stage."""
        return BidMarketState(
            policy=self.policy.snapshot(self.chain),
            clock=self._clock,
            frontier=self._frontier,
            sequence=self._sequence,
            episodes=self._episodes,
            bids=list(self._bids.values()),
            due=self._due,
            swaps=self._swaps.snapshot(),
            counters=self.counters,
            drift=self._drift,
            fallback_until=self._fallback_until,
            early=self._early,
            done=self._done,
            former_spec=self._former_spec,
            former=self._former,
        )

    def restore(self, state: BidMarketState, model_id: bytes, heir: bool) -> None:
        """Take a snapshot. Raises StateError when the policy's state does not fit. ``heir``: see :meth:`adopt`."""
        self.policy.restore(state.policy)
        self.model_id = model_id
        self._fallback_until = state.fallback_until
        self._early, self._done = state.early, state.done
        self._keep_lessons(self.spec.arms if heir else ())
        self._former_spec, self._former = state.former_spec, state.former
        self._clock, self._frontier, self._sequence = state.clock, state.frontier, state.sequence
        self._episodes = state.episodes
        self._bids = {bid.decision_id: bid for bid in state.bids}
        self._due = state.due
        self._swaps.restore(state.swaps)
        self.counters = state.counters
        self._drift = state.drift

    def _track(self, rows: OpportunityColumns, i: int, off: Off, out: SettledRows) -> bytes:
        """Follow the row's cycle. Gives the decision's id when the row is one to decide on, else nothing."""
        cycle = rows.cycle[i]
        episode = self._episodes.get(cycle)
        slot, net = rows.slot[i], rows.net_profit[i]
        if rows.closed[i]:
            if episode is not None:
                del self._episodes[cycle]
                if episode.bid:
                    self._bids[episode.bid].closed = (slot, rows.tx_index[i], rows.ix_index[i])
            return b""
        if episode is None or (rows.new_episode[i] and not episode.bid):
            if episode is None and len(self._episodes) >= self.settings.max_cycles:
                del self._episodes[next(iter(self._episodes))]
                self.counters.evicted_cycles += 1
            # It goes by its first row, so a replay gives it the same name.
            episode = Episode(net, xxhash.xxh3_128_digest(b"episode" + self._prefix + rows.opportunity_id[i]))
            self._episodes[cycle] = episode
        elif episode.net == net:
            return b""
        else:
            episode.net = net
            if episode.bid:
                bid = self._bids[episode.bid]
                if slot <= bid.slot + self.rules.latency_slots:
                    bid.landing_net, bid.landing_usd = net, rows.usd[i]
        if episode.spent or episode.bid or (off and rows.touches(i, off)):
            return b""
        if rows.implausible[i]:
            self.counters.implausible += 1
            if not episode.implausible:
                episode.implausible = True
                out.implausible.append((i, episode.id))
            return b""
        identifier = xxhash.xxh3_128_digest(self._prefix + rows.opportunity_id[i])
        if identifier in self._bids:
            self.counters.duplicates += 1
            return b""
        episode.bid = identifier
        # A late row may belong to a slot whose bids are settled already; its bid waits for the next slot.
        due = max(slot + self._window, self._clock)
        heapq.heappush(self._due, (due, self._sequence, identifier))
        self._sequence += 1
        cost_usd = rows.gross_usd[i] - rows.usd[i]
        self._bids[identifier] = Bid(
            decision_id=identifier,
            opportunity_id=rows.opportunity_id[i],
            cycle=cycle,
            slot=slot,
            timestamp_us=rows.timestamp_us[i],
            source=rows.source(i),
            # Without swaps nobody asks for them.
            legs=rows.legs(i) if self._frontier else _NO_LEGS,
            net=net,
            usd=rows.usd[i],
            cost_in_profit=cost_usd > 0.0,
            row_cost_usd=cost_usd,
            landing_net=net,
            landing_usd=rows.usd[i],
            episode_id=episode.id,
            attempt=episode.attempts,
        )
        episode.attempts += 1
        return identifier

    def _withdraw(
        self, rows: OpportunityColumns, waiting: list[int], ids: list[bytes], off: Off
    ) -> tuple[list[int], list[bytes]]:
        """Forget the bids, not chosen yet, on what has been turned off since they were tracked; gives the others."""
        gone = {identifier for i, identifier in zip(waiting, ids, strict=True) if rows.touches(i, off)}
        for identifier in gone:
            bid = self._bids.pop(identifier)
            self._release(bid, spent=False)
            if bid.cycle in self._episodes:
                self._episodes[bid.cycle].attempts = bid.attempt
        self._due = [entry for entry in self._due if entry[2] not in gone]
        heapq.heapify(self._due)
        left = [(i, identifier) for i, identifier in zip(waiting, ids, strict=True) if identifier not in gone]
        return [i for i, _ in left], [identifier for _, identifier in left]

    def _score(
        self, rows: OpportunityColumns, waiting: list[int], ids: list[bytes], off: Off, out: SettledRows
    ) -> None:
        """Let the policy choose for the rows gathered since the last settlement."""
        if off:
            waiting, ids = self._withdraw(rows, waiting, ids, off)
        if not waiting:
            return
        while waiting:
            done = self._choose(rows, np.array(waiting, np.int64), ids, out)
            if done < len(waiting):
                self._roll_back()
            waiting, ids = waiting[done:], ids[done:]

    def _choose(self, rows: OpportunityColumns, at: Ints, ids: list[bytes], out: SettledRows) -> int:
        """Let the policy choose for rows ``at``; gives how many it could decide before it failed."""
        bids = [self._bids[identifier] for identifier in ids]
        x = rows.x.take(at, axis=1)
        eligible = eligible_arms(rows.pays, rows.usd_column, rows.cost_column, at, self._shares, self._attempt_usd)
        version = self.policy.updates
        try:
            proposal = self._propose(x, eligible)
            count = proper(proposal.propensities, eligible)
        except ArithmeticError:
            return 0
        if not count:
            return 0
        chances, scores, expected = proposal.propensities, proposal.scores, proposal.expected
        if count < len(at):
            at, ids, bids = at[:count], ids[:count], bids[:count]
            x, eligible = x[:, :count], eligible[:, :count]
            chances, scores, expected = chances[:, :count], scores[:, :count], expected[:, :count]
        seeds = np.frombuffer(b"".join(ids), np.uint64)[::2] ^ np.uint64(self.settings.seed)
        chosen = draw(chances, seeds)
        # Packed: thousands of small lists would keep the garbage collector busy.
        contexts, width = x.T.tobytes(), 8 * len(x)
        packed, span = chances.T.tobytes(), 8 * len(self._shares)
        columns = np.arange(count)
        taken, hoped = chances[chosen, columns].tolist(), expected[chosen, columns].tolist()
        spec, active = self.spec, not self._deferred
        arms, policy, policy_version = spec.arms, spec.policy, spec.version
        for i, (bid, arm, chance, hope) in enumerate(zip(bids, chosen.tolist(), taken, hoped, strict=True)):
            bid.arms, bid.arm, bid.propensity, bid.expected = arms, arm, chance, hope
            bid.propensities = packed[i * span : (i + 1) * span]
            bid.context = contexts[i * width : (i + 1) * width]
            bid.policy, bid.policy_version, bid.active = policy, policy_version, active
            for word in self._early.pop(bid.decision_id, ()) if self._early else ():
                self._note(bid, word)
        out.segments.append(
            Segment(
                rows=at,
                ids=ids,
                seeds=seeds,
                chosen=chosen,
                scores=scores,
                propensities=chances,
                expected=expected,
                eligible=eligible,
                model_version=version,
                exploration=proposal.exploration,
                spec=spec,
                model_id=self.model_id,
                episodes=[bid.episode_id for bid in bids],
                attempts=[bid.attempt for bid in bids],
            )
        )
        return count

    def _propose(self, x: Floats, eligible: Bools) -> Proposal:
        fallback, fixed = self.settings.fallback, None
        if fallback is not None and fallback.arm in self.spec.arms:
            until = max(fallback.below, self._fallback_until)
            fixed = self.spec.arms.index(fallback.arm) if self.policy.updates < until else None
        return self.policy.propose(x, eligible, fixed)

    def _roll_back(self) -> None:
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

    def _settle(self, slot: int, trigger: int, out: SettledRows) -> None:
        """Settle every bid that is due before ``slot``, in order."""
        settled: list[Settled] = []
        while self._due and self._due[0][0] < slot:
            due, _, identifier = heapq.heappop(self._due)
            bid = self._bids.pop(identifier)
            fate = self._fate(bid)
            verdict, realized = self._verdict(bid, fate)
            self._release(bid, spent=verdict.kind == LANDED)
            told = bid.told
            settled.append(
                Settled(
                    trigger,
                    due,
                    bid,
                    verdict,
                    realized,
                    fate if verdict.kind not in (INACTIVE, EXPIRED) else None,
                    measured=told is not None,
                    revision=0 if told is None else told.revision,
                )
            )
        self._learn(settled)
        if self._takes_outcomes:
            self._keep(settled)
        out.settled += settled

    def _verdict(self, bid: Bid, fate: Fate) -> tuple[LandingVerdict, int | None]:
        """What somebody measured, else what the attribution's default says; and the realised profit (None: unknown)."""
        told, default = bid.told, self.settings.attribution.default
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

    def tell(self, identifier: bytes, word: Told, out: SettledRows) -> None:
        """Take a word on a decision: in flight, settled already, or not made yet."""
        bid = self._bids.get(identifier)
        if bid is not None and bid.arm >= 0:
            self._note(bid, word)
        elif identifier in self._done:
            self._correct(self._done[identifier], word, out)
        else:
            self.counters.told_early += 1
            waiting = self._early.setdefault(identifier, [])
            if len(waiting) < 4:
                waiting.append(word)
            if len(self._early) > self.settings.attribution.keep:
                del self._early[next(iter(self._early))]
                self.counters.told_forgotten += 1

    def _note(self, bid: Bid, word: Told) -> None:
        if word.kind == ACTIVATED:
            self.counters.told_twice += bid.active
            bid.active = True
        elif bid.told is not None and word.revision <= bid.told.revision:
            self.counters.told_twice += 1
        else:
            # Who was measured took effect.
            bid.told, bid.active = word, True

    def _keep(self, settled: list[Settled]) -> None:
        for item in settled:
            item.bid.utility, item.bid.revision = item.utility, item.revision
            self._done[item.bid.decision_id] = item.bid
        while len(self._done) > self.settings.attribution.keep:
            del self._done[next(iter(self._done))]

    def _correct(self, bid: Bid, word: Told, out: SettledRows) -> None:
        """A settled decision gets another outcome: the policy unlearns the difference."""
        first = bid.told is None
        if word.kind == ACTIVATED or (not first and word.revision <= bid.revision):
            self.counters.told_twice += 1
            return
        self.counters.corrections += 1
        # A measurement that corrects the rule's word is a revision of it, whatever its sender counts.
        revision = max(word.revision, bid.revision + 1)
        verdict = LandingVerdict(word.kind, word.reward_usd, f"measured=1 corrected=1 {word.evidence}".rstrip())
        item = Settled(-1, self._clock, bid, verdict, word.profit, None, measured=True, revision=revision)
        item.correction = True
        item.utility = self._utility(item)
        known = bid.learned_at >= 0 and bid.policy == self.spec.policy and bid.arms[bid.arm] in self.spec.arms
        known = known and len(bid.context) == self._context_bytes
        arm = self.spec.arms.index(bid.arms[bid.arm]) if known else -1
        if not known or not self.policy.correct(
            np.frombuffer(bid.context), arm, bid.utility, item.utility, bid.propensity, bid.learned_at
        ):
            self.counters.uncorrected += 1
        bid.told, bid.utility, bid.revision, bid.active = word, item.utility, revision, True
        out.settled.append(item)

    def _fate(self, bid: Bid) -> Fate:
        rules = self.rules
        attempt = bid.row_cost_usd if bid.cost_in_profit else self._attempt_usd
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

    def _learn(self, settled: list[Settled]) -> None:
        """Teach the policy the utility of rewards, and watch how far they are from what it expected."""
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
            self._teach(taught[start : alarm + 1])
            start = alarm + 1
            if self.settings.on_drift == "relearn":
                self._forget()
                for forgotten in taught[:start]:
                    forgotten.bid.learned_at = -1
            elif self.settings.on_drift == "fallback" and self.settings.fallback is not None:
                self._fallback_until = self.policy.updates + self.settings.fallback.below
        self._teach(taught[start:] if start else taught)

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

    def _forget(self) -> None:
        """Learn anew; the model version goes on counting."""
        fresh = self.spec.make()
        fresh.updates = self.policy.updates
        for bid in self._done.values():
            bid.learned_at = -1
        self.policy = fresh
        self.model_id = b""

    def _release(self, bid: Bid, spent: bool) -> None:
        episode = self._episodes.get(bid.cycle)
        if episode is not None and episode.bid == bid.decision_id:
            episode.bid = b""
            episode.spent = spent

    def _evict(self, trigger: int, out: SettledRows) -> None:
        self.counters.evicted_bids += 1
        self._expire("state=unknown evicted=1", trigger, out)

    def _expire(self, evidence: str, trigger: int, out: SettledRows) -> None:
        due, _, identifier = heapq.heappop(self._due)
        bid = self._bids.pop(identifier)
        self._release(bid, spent=False)
        out.settled.append(Settled(trigger, due, bid, LandingVerdict(EXPIRED, 0.0, evidence), None, None))
