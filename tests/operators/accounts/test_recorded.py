"""Accounts as fixtures record them: read or refused, whatever they hold."""

from __future__ import annotations

import base64
import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.accounts.errors import AccountError
from mevflow.operators.accounts.recorded import recorded_account

ACCOUNTS = json.loads(gzip.decompress((Path(__file__).parents[2] / "data" / "carbon_accounts.json.gz").read_bytes()))
VALUES = st.none() | st.integers() | st.text(max_size=90) | st.lists(st.integers(-2, 300), max_size=40)


def test_owner_and_data_as_text_or_as_bytes() -> None:
    account = ACCOUNTS["whirlpool"]
    found = recorded_account(account)
    assert found["type"] == "WhirlpoolAccount"
    assert recorded_account({**account, "data": list(base64.b64decode(account["data"]))}) == found
    assert recorded_account({**account, "data": [account["data"], "base64"]}) == found


@given(owner=VALUES | st.just(ACCOUNTS["whirlpool"]["owner"]), data=VALUES | st.lists(VALUES, max_size=3))
def test_nothing_raises_anything_but_its_own_error(owner: Any, data: Any) -> None:
    with suppress(AccountError):
        recorded_account({"owner": owner, "data": data})
