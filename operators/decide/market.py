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
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import xxhash

from mevflow.operators.decide.rows import OpportunityColumns, number
from mevflow.operators.decide.settings import BanditSettings, ChainRules, PolicySpec, share_as_float, share_of
from mevflow.operators.decide.swaplog import RecentSwaps
from mevflow.operators.learn import Policy, draw
from mevflow.operators.learn.drift import PageHinkley
from mevflow.operators.learn.kernels import Floats, Ints, Seeds
from mevflow.operators.outcomes import EXPIRED, LANDED, SKIPPED, Fate, LandingVerdict, Rival, judge, tip_raw
from mevflow.operators.switch import Off


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


class Episode(msgspec.Struct, gc=False):
    """A cycle that pays: its last profit, the bid in flight, and whether a bid has landed on it."""

    net: bytes
    bid: bytes = b""
    spent: bool = False


class Counters(msgspec.Struct):
    """What happened beside decisions."""

    duplicates: int = 0
    evicted_bids: int = 0
    evicted_cycles: int = 0
    unlearned: int = 0


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
    drift: PageHinkley


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows decided together: ``rows`` of the batch, chosen arms and, as ``[arms, rows]``, scores and chances."""

    rows: Ints
    ids: list[bytes]
    seeds: Seeds
    chosen: Ints
    scores: Floats
    propensities: Floats
    eligible: np.ndarray
    model_version: int


@dataclass(slots=True)
class Settled:
    """A bid's outcome. ``trigger`` is the batch's row that was about to come, ``fate`` None for one that expired."""

    trigger: int
    slot: int
    bid: Bid
    verdict: LandingVerdict
    realized: int
    fate: Fate | None
    drift: bool = False  # its reward made the detector cry


@dataclass(slots=True)
class SettledRows:
    """What one call gives."""

    segments: list[Segment] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)


class BidMarket:
    """One chain's episodes, bids and policy."""

    def __init__(
        self, chain: int, rules: ChainRules, settings: BanditSettings, spec: PolicySpec, prefix: bytes
    ) -> None:
        self.chain = chain
        self.rules = rules
        self.settings = settings
        self.counters = Counters()
        self._drift = PageHinkley()
        self._attempt_usd = rules.attempt_usd
        self._rival_share = math.nan if settings.rival_share is None else settings.rival_share
        self._prefix = prefix
        self._clock = 0  # highest slot of an opportunity row
        self._frontier = 0  # highest slot of a swap
        self._sequence = 0
        self._episodes: dict[bytes, Episode] = {}
        self._bids: dict[bytes, Bid] = {}
        self._due: list[tuple[int, int, bytes]] = []
        self._swaps = RecentSwaps(settings.max_swaps_per_slot)
        self.adopt(spec, spec.make())

    def adopt(self, spec: PolicySpec, policy: Policy) -> None:
        """Decide by another policy from now on. Bids in flight teach it where it has their arm."""
        self.spec = spec
        self.policy = policy
        self._shares = np.array([float(share) for share in spec.shares])

    def decide(self, rows: OpportunityColumns, indices: Ints, off: Callable[[], Off], out: SettledRows) -> None:
        """Go through the batch's rows of this chain in order; nothing is decided about what is ``off``.

        That may change while this runs: it is asked again for every row, and once more before the policy chooses.
        """
        waiting: list[int] = []
        ids: list[bytes] = []
        for i in indices.tolist():
            slot = rows.slot[i]
            if self._due and self._due[0][0] < slot:
                self._score(rows, waiting, ids, off(), out)
                waiting, ids = [], []
                self._settle(slot, i, out)
            self._clock = max(self._clock, slot)
            identifier = self._track(rows, i, off())
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
            policy=self.policy.snapshot(),
            clock=self._clock,
            frontier=self._frontier,
            sequence=self._sequence,
            episodes=self._episodes,
            bids=list(self._bids.values()),
            due=self._due,
            swaps=self._swaps.snapshot(),
            counters=self.counters,
            drift=self._drift,
        )

    def restore(self, state: BidMarketState) -> None:
        """Take a snapshot. Raises StateError when the policy's state does not fit."""
        self.policy.restore(state.policy)
        self._clock, self._frontier, self._sequence = state.clock, state.frontier, state.sequence
        self._episodes = state.episodes
        self._bids = {bid.decision_id: bid for bid in state.bids}
        self._due = state.due
        self._swaps.restore(state.swaps)
        self.counters = state.counters
        self._drift = state.drift

    def _track(self, rows: OpportunityColumns, i: int, off: Off) -> bytes:
        """Follow the row's cycle. Gives the decision's id when the row is one to decide on, else nothing."""
        cycle = rows.cycle(i)
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
            episode = self._episodes[cycle] = Episode(net)
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
        identifier = xxhash.xxh3_128_digest(self._prefix + rows.opportunity_id[i])
        if identifier in self._bids:
            self.counters.duplicates += 1
            return b""
        episode.bid = identifier
        # A late row may belong to a slot whose bids are settled already; its bid waits for the next slot.
        due = max(slot + self.rules.window_slots, self._clock)
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
            legs=rows.legs(i) if self._frontier else [],
            net=net,
            usd=rows.usd[i],
            cost_in_profit=cost_usd > 0.0,
            row_cost_usd=cost_usd,
            landing_net=net,
            landing_usd=rows.usd[i],
        )
        return identifier

    def _withdraw(
        self, rows: OpportunityColumns, waiting: list[int], ids: list[bytes], off: Off
    ) -> tuple[list[int], list[bytes]]:
        """Forget the bids, not chosen yet, on what has been turned off since they were tracked; gives the others."""
        gone = {identifier for i, identifier in zip(waiting, ids, strict=True) if rows.touches(i, off)}
        for identifier in gone:
            self._release(self._bids.pop(identifier), spent=False)
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
        at = np.array(waiting, np.int64)
        x = rows.x[:, at]
        usd, row_cost = rows.usd_column[at], rows.cost_column[at]
        cost = np.where(row_cost > 0.0, 0.0, self._attempt_usd)
        bids = [self._bids[identifier] for identifier in ids]
        pays = np.array([number(bid.net) > 0 for bid in bids])
        eligible = pays & (usd - usd * self._shares[:, None] > cost)
        eligible[-1] = True
        seeds = np.frombuffer(b"".join(ids), np.uint64)[::2] ^ np.uint64(self.settings.seed)
        version = self.policy.updates
        proposal = self.policy.propose(x, eligible)
        chosen = draw(proposal.propensities, seeds)
        # Packed: thousands of small lists would keep the garbage collector busy.
        contexts, width = x.T.tobytes(), 8 * len(x)
        chances, span = proposal.propensities.T.tobytes(), 8 * len(self._shares)
        taken = proposal.propensities[chosen, np.arange(len(at))].tolist()
        spec = self.spec
        for i, (bid, arm, chance) in enumerate(zip(bids, chosen.tolist(), taken, strict=True)):
            bid.arms, bid.arm, bid.propensity = spec.arms, arm, chance
            bid.propensities = chances[i * span : (i + 1) * span]
            bid.context = contexts[i * width : (i + 1) * width]
            bid.policy, bid.policy_version = spec.policy, spec.version
        out.segments.append(Segment(at, ids, seeds, chosen, proposal.scores, proposal.propensities, eligible, version))

    def _settle(self, slot: int, trigger: int, out: SettledRows) -> None:
        """Settle every bid that is due before ``slot``, in order."""
        settled: list[Settled] = []
        while self._due and self._due[0][0] < slot:
            due, _, identifier = heapq.heappop(self._due)
            bid = self._bids.pop(identifier)
            fate = self._fate(bid)
            arm = bid.arms[bid.arm]
            verdict = judge(fate, share_as_float(arm))
            realized = 0
            if verdict.kind == LANDED:
                net = number(bid.net)
                realized = min(net, number(bid.landing_net)) - tip_raw(net, share_of(arm))
            self._release(bid, spent=verdict.kind == LANDED)
            settled.append(Settled(trigger, due, bid, verdict, realized, fate))
        self._learn(settled)
        out.settled += settled

    def _fate(self, bid: Bid) -> Fate:
        rules = self.rules
        attempt = bid.row_cost_usd if bid.cost_in_profit else self._attempt_usd
        rival = Rival("unseen")
        if bid.closed:
            rival = self._swaps.rival(bid.closed, bid.legs, rules.native_usd, rules.native_decimals)
        return Fate(
            decided_slot=bid.slot,
            latency_slots=rules.latency_slots,
            closed_slot=bid.closed[0] if bid.closed else None,
            expected_usd=bid.usd,
            landing_usd=min(bid.usd, bid.landing_usd),
            landed_cost_usd=0.0 if bid.cost_in_profit else attempt,
            missed_cost_usd=attempt * rules.missed_fee_share,
            rival=rival,
            rival_share=self._rival_share,
        )

    def _learn(self, settled: list[Settled]) -> None:
        """Teach the policy rewards relative to the expected profit, within [-1, 1]."""
        known = {arm: index for index, arm in enumerate(self.spec.arms)}
        taught = [item for item in settled if item.bid.arms[item.bid.arm] in known and item.bid.usd > 0.0]
        self.counters.unlearned += len(settled) - len(taught)
        rewards = [min(max(item.verdict.reward_usd / item.bid.usd, -1.0), 1.0) for item in taught]
        start = 0
        for i, (item, reward) in enumerate(zip(taught, rewards, strict=True)):
            # Skips always bring 0: only bids say whether the market has moved.
            if item.verdict.kind != SKIPPED and self._drift.update(reward, self.settings.drift_threshold):
                item.drift = True
                if self.settings.on_drift == "relearn":
                    self._teach(taught[start : i + 1], rewards[start : i + 1], known)
                    self._forget()
                    start = i + 1
        self._teach(taught[start:], rewards[start:], known)

    def _teach(self, taught: list[Settled], rewards: list[float], known: dict[str, int]) -> None:
        if not taught:
            return
        bids = [item.bid for item in taught]
        self.policy.update(
            np.frombuffer(b"".join([bid.context for bid in bids])).reshape(len(bids), -1),
            np.array([known[bid.arms[bid.arm]] for bid in bids]),
            np.array(rewards),
            np.array([bid.propensity for bid in bids]),
        )

    def _forget(self) -> None:
        """Learn anew; the model version goes on counting."""
        fresh = self.spec.make()
        fresh.updates = self.policy.updates
        self.policy = fresh

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
        out.settled.append(Settled(trigger, due, bid, LandingVerdict(EXPIRED, 0.0, evidence), 0, None))
