import pytest

from tests.evm.chain import Chain
from tests.evm.world import World


@pytest.fixture
def chain():
    """A chain of the test's own."""
    found = Chain()
    yield found
    found.close()


@pytest.fixture
def world(chain):
    """The chain with tokens and pools on it."""
    return World(chain)
