"""Fork numbers of a follower that begins anew, beside those of one that began just before."""

import time

from mevflow.operators.forks import Forks
from mevflow.sources.evm.follow import first_fork


def test_who_begins_anew_has_a_larger_fork_than_all_before():
    """Also within the second, after forks that the former one met: else its first row is taken for one known before."""
    former = first_fork()
    met = 3
    time.sleep(0.1)
    anew = first_fork()
    assert anew > former + met
    forks = Forks()
    assert forks.tell(1, 10, former + met)
    forks.state.least[1] = former
    assert forks.tell(1, 5, anew)
