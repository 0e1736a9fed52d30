"""Why a test of a peer's suite cannot pass on the embedded ClickHouse: by what the engine or the suite itself says.

Each line is (name, words that its failure has, reason). A failure that no line explains is the front's fault until
somebody has looked at it.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """``test``: how its name begins, without parameters; ``says``: what its failure has to say."""

    test: str
    says: str
    why: str


_USERS = "the embedded engine has one user: no roles, row policies or dictionaries are made by statements"
_LOW_CARD = "the suite wants `allow_suspicious_low_cardinality_types` in its server's profile"

REASONS = (
    Reason("test_role_setting_works", "ACCESS_DENIED", _USERS),
    Reason("test_show_row_policies", "ACCESS_DENIED", _USERS),
    Reason("test_command_show_policies_returns_value", "ACCESS_DENIED", _USERS),
    Reason("test_alembic_", "CREATE DICTIONARY", _USERS),
    Reason("test_query_id_in_query_logs", "system.query_log", "the embedded engine keeps no query log"),
    Reason("test_show_create", "no metadata of table tables", "the embedded engine knows no text of system tables"),
    Reason("test_disabled_materialized_cte", "analyzer is mandatory", "this engine has no other analyzer any more"),
    Reason("test_wrong_port_error_message", "9000", "the suite wants ClickHouse's native port beside it"),
    Reason("test_low_card", "SUSPICIOUS_TYPE_FOR_LOW_CARDINALITY", _LOW_CARD),
    Reason("test_query_fuzz", "SUSPICIOUS_TYPE_FOR_LOW_CARDINALITY", _LOW_CARD),
    Reason("test_pandas_low_card", "SUSPICIOUS_TYPE_FOR_LOW_CARDINALITY", _LOW_CARD),
    Reason("test_pandas_datetime64", "tzinfo argument must be None", "the suite is not for the pandas that is served"),
    Reason("test_concurrent_queries", "queries appear to run sequentially", "the suite asserts on wall-clock time"),
)


def reason_of(test: str, said: str) -> str:
    """Why ``test`` cannot pass, from what its failure ``said``; empty when nothing explains it."""
    return next((each.why for each in REASONS if test.startswith(each.test) and each.says in said), "")
