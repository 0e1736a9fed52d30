"""Fixtures that rooms' tests share, which tests `make test-quick` leaves out, and what one process of a run does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Property tests are judged by what they find, not by how long an example takes on a busy machine; and a run is the same
# for everyone, so that what was green stays green. MEVFLOW_RANDOM=1 looks at other examples each time.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("random" if os.environ.get("MEVFLOW_RANDOM") else "repeatable")

pytest_plugins = ["tests.plugins.kafka", "tests.plugins.clickhouse", "tests.plugins.deployment"]

#: What several tests use together -> the group of those that ask for it; who asks for two is of the first.
SHARED = {
    "live": "deployment",
    "kafka_broker": "broker",
    "clickhouse_server": "engine",
    "clickhouse_database": "engine",
}
#: Who asks for one of these needs a broker, an engine or a service that runs.
SERVICES = SHARED.keys() | {"service", "secured"}
#: Tests that start processes by themselves, by folder or file.
STARTERS = (
    "tests/kafka/test_broker",
    "tests/kafka/test_security",
    "tests/clickhouse/test_daemon",
    "tests/clickhouse/test_server",
    "tests/clickhouse/test_bodies",
    "tests/clickhouse/test_wire",
    "tests/control/auth/",
    "tests/control/gateway/",
    "tests/control/test_",
    "tests/flows/demo/",
    "tests/flows/runtime/",
    "tests/flows/test_change",
    "tests/flows/test_claims",
    "tests/flows/test_dlq",
    "tests/flows/test_failing",
    "tests/flows/test_leases",
    "tests/flows/test_places",
    "tests/sinks/clickhouse/",
    "tests/sinks/websocket/",
    "tests/sources/evm/test_example",
    "tests/sources/evm/test_source",
    "tests/testing/test_plugin",
    "tests/truth/",
)
#: Whole recorded days, brute force over random markets, memory over endless streams: minutes of pure computation.
HEAVY = (
    "tests/operators/test_stage_contract",
    "tests/operators/parse/test_fuzz",
    "tests/operators/detect/test_chains",
    "tests/operators/detect/test_curves",
    "tests/operators/detect/test_days",
    "tests/operators/detect/test_hostile_rows",
    "tests/operators/detect/test_random_markets",
    "tests/operators/detect/test_reachable",
    "tests/operators/detect/test_recorded_curves",
    "tests/operators/detect/test_reorg",
    "tests/operators/detect/test_stage",
    "tests/operators/label/test_stage",
    "tests/operators/learn/test_auction",
    "tests/operators/learn/test_states",
    "tests/operators/model/",
    "tests/operators/sizing/",
    "tests/operators/parse/evm/test_recorded",
    "tests/operators/parse/whirlpool/",
    "tests/operators/parse/uniswap/",
    "tests/operators/amm/",
    "tests/learning/evaluation/",
    "tests/flows/test_explain",
    "tests/sources/evm/test_files",
    "tests/sources/test_recorded",
    "tests/cli/",
    "tests/bench/",
    "tests/fuzz/",
    "tests/ops/",
)
#: Rooms whose tests compute and start nothing, unless they are marked above.
PURE = (
    "tests/operators/",
    "tests/learning/",
    "tests/model/",
    "tests/ops/",
    "tests/proto/",
    "tests/mutation/",
    "tests/docs/",
    "tests/clickhouse/test_statement",
    "tests/testing/test_breakers",
    "tests/testing/test_kit",
)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs services and what is heavy, and say which tests one process runs in order.

    Five kinds of groups: all that use the session's broker; all that look at the one deployment; all that use the
    session's engine and no broker; all others that start something or look at the machine; and each file of pure
    computation, so that its fixtures are made once. The first four are long: they come first, the longest at the front,
    and the files fill what is left of each process's time.
    """
    root = Path(__file__).parents[1]
    groups: dict[str, list[pytest.Item]] = {name: [] for name in ("broker", "deployment", "engine", "processes")}
    for item in items:
        place = item.path.relative_to(root).as_posix()
        asks = set(getattr(item, "fixturenames", ()))
        if SERVICES & asks or place.startswith(STARTERS):
            item.add_marker(pytest.mark.services)
        if place.startswith(HEAVY):
            item.add_marker(pytest.mark.heavy)
        pure = place.startswith(PURE) and item.get_closest_marker("services") is None
        shared = next((group for fixture, group in SHARED.items() if fixture in asks), "processes")
        group = place if pure else shared
        item.add_marker(pytest.mark.xdist_group(group))
        groups.setdefault(group, []).append(item)
    items[:] = [item for group in groups.values() for item in group]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped and why, above the summary line: nothing is left out silently."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason.removeprefix('Skipped: ')}")
