"""The decisions of one chain: which rows to decide on, which bids are in flight, when they are settled.

Everything happens in chain order. A bid made at slot ``s`` is settled before the first row of a slot above
``s + window_slots``, so what it teaches is never used before the stream has shown it. Between two settlements
the policy does not change, so the rows between them are scored in one call.

One bid at a time flies for a cycle, and an episode in which a bid landed is spent: the recorded pools do not
know of our trade, so a second bid on the same gap would be paid twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import xxhash

from mevflow.operators.decide.bids import Bid, BidMarketState, Counters, Episode, Segment, Settled, SettledRows
from mevflow.operators.decide.eligible import eligible_arms
from mevflow.operators.decide.learner import Learner
from mevflow.operators.decide.rows import OpportunityColumns
from mevflow.operators.decide.settings import BanditSettings, ChainRules, PolicySpec
from mevflow.operators.decide.swaplog import RecentSwaps
from mevflow.operators.decide.told import ACTIVATED, INACTIVE, Told
from mevflow.operators.decide.verdict import Verdicts
from mevflow.operators.learn import draw
from mevflow.operators.learn.kernels import Ints
from mevflow.operators.outcomes import EXPIRED, LANDED, LandingVerdict
from mevflow.operators.switch import Off

#: One list for all bids that have none: thousands of empty ones would keep the garbage collector busy.
_NO_LEGS: list[tuple[bytes, bytes]] = []


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
        self.learner = Learner(chain, settings, spec, self.counters)
        self._prefix = prefix
        self._takes_outcomes = takes_outcomes
        self._clock = 0  # highest slot of an opportunity row
        self._frontier = 0  # highest slot of a swap
        self._sequence = 0
        self._episodes: dict[bytes, Episode] = {}
        self._early: dict[bytes, list[Told]] = {}  # words whose decision has not been made
        self._deferred = settings.attribution.activation == "deferred"
        self._window = max(rules.window_slots, settings.attribution.window_slots)
        self._bids: dict[bytes, Bid] = {}
        self._due: list[tuple[int, int, bytes]] = []
        self._swaps = RecentSwaps(settings.max_swaps_per_slot)
        self._verdicts = Verdicts(rules, settings, takes_outcomes, self._swaps)

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
        """All state of this chain; the stage keeps what its policy is made of."""
        return BidMarketState(
            **msgspec.structs.asdict(self.learner.snapshot()),
            clock=self._clock,
            frontier=self._frontier,
            sequence=self._sequence,
            episodes=self._episodes,
            bids=list(self._bids.values()),
            due=self._due,
            swaps=self._swaps.snapshot(),
            counters=self.counters,
            early=self._early,
        )

    def restore(self, state: BidMarketState, model_id: bytes, heir: bool) -> None:
        """Take a snapshot; ``model_id`` and ``heir`` as the learner takes them.

        Raises StateError when the policy's state does not fit.
        """
        self._early = state.early
        self._clock, self._frontier, self._sequence = state.clock, state.frontier, state.sequence
        self._episodes = state.episodes
        self._bids = {bid.decision_id: bid for bid in state.bids}
        self._due = state.due
        self._swaps.restore(state.swaps)
        self.counters = self.learner.counters = state.counters
        self.learner.restore(state, model_id, heir)

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
                self.learner.roll_back()
            waiting, ids = waiting[done:], ids[done:]

    def _choose(self, rows: OpportunityColumns, at: Ints, ids: list[bytes], out: SettledRows) -> int:
        """Let the policy choose for rows ``at``; gives how many it could decide before it failed."""
        bids = [self._bids[identifier] for identifier in ids]
        x = rows.x.take(at, axis=1)
        learner = self.learner
        spec, version = learner.spec, learner.policy.updates
        eligible = eligible_arms(
            rows.pays, rows.usd_column, rows.cost_column, at, learner.shares, self.rules.attempt_usd
        )
        try:
            proposal, count = learner.propose(x, eligible)
        except ArithmeticError:
            return 0
        if not count:
            return 0
        chances, scores, expected = proposal.propensities, proposal.scores, proposal.expected
        if count < len(at):
            at, ids, bids = at[:count], ids[:count], bids[:count]
            x, eligible = x[:, :count], eligible[:, :count]
            chances, scores, expected = chances[:, :count], scores[:, :count], expected[:, :count]
        self.counters.forced_skips += int((eligible.sum(axis=0) == 1).sum())
        seeds = np.frombuffer(b"".join(ids), np.uint64)[::2] ^ np.uint64(self.settings.seed)
        chosen = draw(chances, seeds)
        # Packed: thousands of small lists would keep the garbage collector busy.
        contexts, width = x.T.tobytes(), 8 * len(x)
        packed, span = chances.T.tobytes(), 8 * len(spec.shares)
        columns = np.arange(count)
        taken, hoped = chances[chosen, columns].tolist(), expected[chosen, columns].tolist()
        active = not self._deferred
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
                model_id=learner.model_id,
                episodes=[bid.episode_id for bid in bids],
                attempts=[bid.attempt for bid in bids],
            )
        )
        return count

    def _settle(self, slot: int, trigger: int, out: SettledRows) -> None:
        """Settle every bid that is due before ``slot``, in order."""
        settled: list[Settled] = []
        while self._due and self._due[0][0] < slot:
            due, _, identifier = heapq.heappop(self._due)
            bid = self._bids.pop(identifier)
            fate = self._verdicts.fate(bid)
            verdict, realized = self._verdicts.verdict(bid, fate)
            self._release(bid, spent=verdict.kind == LANDED)
            told = bid.told
            self.counters.reward_delay_slots += due - bid.slot
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
        self.learner.learn(settled)
        if self._takes_outcomes:
            self.learner.keep(settled)
        out.settled += settled

    def tell(self, identifier: bytes, word: Told, out: SettledRows) -> None:
        """Take a word on a decision: in flight, settled already, or not made yet."""
        bid = self._bids.get(identifier)
        if bid is not None and bid.arm >= 0:
            self._note(bid, word)
        elif (done := self.learner.settled(identifier)) is not None:
            self._correct(done, word, out)
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
        self.learner.correct(item)
        bid.told, bid.utility, bid.revision, bid.active = word, item.utility, revision, True
        out.settled.append(item)

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
