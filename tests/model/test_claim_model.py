"""Claims by the real fold over a modelled log: hosts take, renew, sleep and write in any order and at any time."""

from dataclasses import dataclass

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from mevflow.flows.runtime.claim_log import LEASE_S, ClaimRecord, ClaimStanding

#: The first sequence that breaks a rule will do: it need not be the shortest.
FIND = settings(max_examples=5_000, phases=(Phase.generate,), deadline=None)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("renew"), st.integers(0, 2)),
        st.tuples(st.just("write"), st.integers(0, 2)),
        st.tuples(st.just("release"), st.integers(0, 2)),
        st.tuples(st.just("pass"), st.integers(1, 40)),
    ),
    max_size=14,
)


@dataclass
class Host:
    """What a host believes: a process that sleeps goes on believing it."""

    record: ClaimRecord | None = None


class World:
    """The log, three hosts, and a sink that takes rows. ``fenced``: it refuses epochs below the largest it has seen."""

    def __init__(self, fenced):
        self.fenced, self.now_ms = fenced, 0
        self.standing, self.seen = ClaimStanding(), 0
        self.hosts = [Host() for _ in range(3)]
        self.taken = []  # (epoch of what was written, epoch that stood)
        self.epochs = 0

    def take(self, number, takeover):
        self.epochs = max(self.epochs, self.standing.epoch) + 1
        wanted = ClaimRecord("claim", "t", f"o{self.epochs}", self.epochs, f"host{number}", "deploy", 1, 0, takeover)
        self.standing = self.standing.after(wanted, self.now_ms)
        if self.standing.record == wanted:
            self.hosts[number].record = wanted
            self.seen = wanted.epoch  # the sink's claim is taken when it opens, before the first row

    def renew(self, number):
        self._say("renew", number)

    def release(self, number):
        self._say("release", number)
        self.hosts[number].record = None

    def _say(self, kind, number):
        mine = self.hosts[number].record
        if mine is not None:
            said = ClaimRecord(kind, "t", mine.owner, mine.epoch, mine.place, "deploy", 1, 0)
            self.standing = self.standing.after(said, self.now_ms)

    def write(self, number):
        mine = self.hosts[number].record
        if mine is not None and not (self.fenced and mine.epoch < self.seen):
            self.taken.append((mine.epoch, self.seen))

    def run(self, steps):
        for step, *arguments in steps:
            if step == "pass":
                self.now_ms += arguments[0] * 1000
            else:
                getattr(self, step)(*arguments)
        return self


def stale(world):
    """Writes that were taken from a holder that had a successor."""
    return [written for written, stood in world.taken if written < stood]


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_nobody_writes_after_a_successor_has_opened(steps):
    assert stale(World(True).run(steps)) == []


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_epochs_only_grow_and_a_held_claim_is_not_taken_from_elsewhere(steps):
    world, heard = World(True), (0, 0)
    for step in steps:
        before = world.standing
        world.run([step])
        after = world.standing
        assert after.epoch >= before.epoch
        if after.record is not None and before.held and after.record.owner != before.record.owner:
            fresh = world.now_ms - before.heard_ms <= LEASE_S * 1000
            assert not fresh or after.record.takeover or after.record.place == before.record.place
        heard = max(heard, (after.epoch, after.heard_ms))
        assert heard[0] == after.epoch


def test_without_the_fence_a_process_that_slept_writes_beside_its_successor():
    steps = find(STEPS, lambda steps: bool(stale(World(False).run(steps))), settings=FIND)
    assert stale(World(True).run(steps)) == []
