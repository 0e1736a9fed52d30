"""One live deployment for all tests of this folder that need one."""

import pytest

from tests.metrics.world import world


@pytest.fixture(scope="package")
def live(tmp_path_factory):
    with world(tmp_path_factory.mktemp("live") / "var") as made:
        yield made
