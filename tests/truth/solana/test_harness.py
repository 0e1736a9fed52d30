"""The harness itself, as far as it goes without others' programs: accounts, instructions, and the bank."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from solders.pubkey import Pubkey

from tests.operators.amm.recorded import DATA, needs_shared
from tests.truth.solana.bank import MEMO, TOKEN, Bank, Call
from tests.truth.solana.dlmm import DlmmPair, PairSwap, recorded_pair
from tests.truth.solana.programs import DLMM, VARIABLE, WHIRLPOOL
from tests.truth.solana.whirlpool import Swap, WhirlpoolPool, recorded_pools

TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
#: Addresses that are the same in every swap: programs, and the authority of DLMM's events.
FIXED = {str(TOKEN), str(MEMO), DLMM.addresses[0], "D1ZN9Wj1fRSUQfCjhvnu1hqDMT7hzjzBBpi12nVniYD6"}
MAINNET = Pubkey.from_string(WHIRLPOOL.addresses[0])


def _recorded(name: str) -> dict[str, Any]:
    with gzip.open(DATA / "solana_instructions.json.gz", "rt") as file:
        found: dict[str, Any] = json.load(file)[name]
    return found


def test_the_bank_moves_tokens_between_accounts_that_are_put_into_it() -> None:
    bank, mint, taker, giver = Bank(), *(Pubkey(bytes([n]) * 32) for n in (1, 2, 3))
    bank.mint(mint)
    bank.hold(giver, mint, bank.owner, 1_000)
    bank.hold(taker, mint, bank.owner, 5)
    accounts = [(giver, True), (taker, True), (bank.owner, False)]
    assert bank.execute(Call(TOKEN, b"\3" + (400).to_bytes(8, "little"), accounts)) is None
    assert (bank.balance(giver), bank.balance(taker)) == (600, 405)
    refused = bank.execute(Call(TOKEN, b"\3" + (601).to_bytes(8, "little"), accounts))
    assert refused is not None
    assert "insufficient funds" in refused
    assert (bank.balance(giver), bank.balance(taker)) == (600, 405)


def test_a_call_that_no_program_was_asked_is_no_refusal() -> None:
    with pytest.raises(RuntimeError, match="did not ask"):
        Bank().execute(Call(Pubkey(bytes([9]) * 32), b""))


def test_recorded_pools_and_their_tick_arrays_are_where_their_seeds_put_them() -> None:
    bank = Bank()
    for recorded in recorded_pools()[::40]:
        assert recorded.moved(MAINNET) == recorded
        pool = WhirlpoolPool(bank, MAINNET, recorded)
        assert bank.data(recorded.address) == recorded.data
        assert sum(1 for _, writes in pool.call(Swap(True, True, 1), 1).accounts if writes) == 8


def test_a_pool_moved_to_another_program_keeps_all_but_its_place() -> None:
    recorded = recorded_pools()[0]
    moved = recorded.moved(Pubkey.from_string(WHIRLPOOL.addresses[1]))
    assert moved.address != recorded.address
    assert (moved.data[:40], moved.data[41:]) == (recorded.data[:40], recorded.data[41:])
    assert all(bytes(moved.address) in data for data in moved.arrays.values())


def _same_places(called: Call, recorded: dict[str, Any], owner: Pubkey) -> bool:
    """Programs, the memo and the event authority are where the recorded instruction has them, and so is who signs."""
    fixed = {str(address) for address, _ in called.accounts if str(address) in FIXED}
    ours = [str(address) if str(address) in fixed else address == owner for address, _ in called.accounts]
    theirs = [one["pubkey"] if one["pubkey"] in fixed else one["is_signer"] for one in recorded["accounts"]]
    most = min(len(ours), len(theirs))
    return ours[:most] == theirs[:most]


@pytest.mark.parametrize(
    ("name", "version", "swap", "least_out"),
    [
        ("swap", 1, Swap(False, True, 85_373_619, 79_226_673_515_401_279_992_447_579_055), 0),
        ("swap_v2", 2, Swap(True, True, 367_897_999, 4_295_048_016), 1),
    ],
)
def test_a_whirlpool_swap_is_written_as_the_recorded_one(name, version, swap, least_out) -> None:
    recorded = _recorded(f"orca-whirlpool {name}")
    data = swap.data(version)
    assert (data[:16] + least_out.to_bytes(8, "little") + data[24:]).hex() == recorded["data"]
    bank = Bank()
    called = WhirlpoolPool(bank, MAINNET, recorded_pools()[0]).call(swap, version)
    assert len(called.accounts) == len(recorded["accounts"])
    if version == 1:  # of the other one no signature is recorded
        assert _same_places(called, recorded, bank.owner)


@needs_shared
@pytest.mark.parametrize(
    ("name", "swap", "most_in"),
    [
        ("swap", PairSwap(True, True, 60_165_522, 1), None),
        ("swap2", PairSwap(True, True, 217_206_901, 2), None),
        ("swap_exact_out", PairSwap(True, False, 5_950_000, 1), None),
        ("swap_exact_out2", PairSwap(True, False, 4_891_000_000_000, 2), 3_826_290_145),
    ],
)
def test_a_dlmm_swap_is_written_as_the_recorded_one(name, swap, most_in) -> None:
    recorded = _recorded(f"meteora-dlmm {name}")
    data = swap.data()
    if most_in is not None:
        data = data[:8] + most_in.to_bytes(8, "little") + data[16:]
    assert data.hex() == recorded["data"]
    bank = Bank()
    called = DlmmPair(bank, Pubkey.from_string(DLMM.addresses[0]), recorded_pair()).call(swap, [])
    for one in recorded["accounts"]:  # the pair of one of them trades a mint of the newer token program
        one["pubkey"] = one["pubkey"].replace(TOKEN_2022, str(TOKEN))
    recorded["accounts"][9]["pubkey"] = DLMM.addresses[0]  # nobody gets a share of the fee here
    assert _same_places(called, recorded, bank.owner)


def test_what_is_missing_is_said_with_how_to_get_it(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert DLMM.found() is None
    assert "solana program dump" in DLMM.missing()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert DLMM.found() is None
    assert f"{tmp_path} has no dlmm.so" in DLMM.missing()
    (tmp_path / "whirlpool.so").write_bytes(b"before" + bytes(Pubkey.from_string(WHIRLPOOL.addresses[1])))
    found = WHIRLPOOL.found()
    assert found is not None
    assert str(found.address) == WHIRLPOOL.addresses[1]
