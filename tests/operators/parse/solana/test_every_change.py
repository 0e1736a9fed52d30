"""Every instruction and event of every program: what changes a pool is told, or leaves the pool in doubt."""

from __future__ import annotations

from typing import Any

import pytest

from mevflow.operators.accounts import registry
from mevflow.operators.parse.solana import instructions, update_events
from mevflow.operators.parse.solana.events import SELF_CALL
from mevflow.operators.parse.solana.swaps import SolanaSwaps
from mevflow.v1 import market_pb2 as market
from tests.operators.parse.solana.messages import anchor, logged, numbers
from tests.operators.parse.solana.transactions import ACCOUNTS, OTHER, SIGNER, Recorded, clmm_swap, parse, traded

KIND = market.PoolUpdate
PROGRAMS = {
    "whirlpool": registry.WHIRLPOOL,
    "clmm": registry.RAYDIUM_CLMM,
    "cpmm": registry.RAYDIUM_CPMM,
    "dlmm": registry.METEORA_DLMM,
}
#: Instructions after which a swap in any pool that is known pays what it paid before, and why.
QUIET = {
    "whirlpool": {
        "owners, rewards and what was earned": """collect_fees collect_fees_v2 collect_protocol_fees
            collect_protocol_fees_v2 collect_reward collect_reward_v2 initialize_reward initialize_reward_v2
            set_collect_protocol_fees_authority set_reward_authority set_reward_emissions set_reward_emissions_v2
            set_reward_authority_by_super_authority set_reward_emissions_super_authority update_fees_and_rewards
            migrate_repurpose_reward_authority_space set_fee_authority set_delegated_fee_authority
            set_initialize_pool_authority set_config_extension_authority set_config_feature_flag idl_include""",
        "pools to come": """initialize_config initialize_config_extension initialize_fee_tier
            initialize_adaptive_fee_tier set_default_fee_rate set_default_base_fee_rate
            set_default_protocol_fee_rate set_preset_adaptive_fee_constants initialize_token_badge delete_token_badge
            set_token_badge_attribute set_token_badge_authority""",
        "how a fee is shared": "set_protocol_fee_rate",
        "positions without liquidity": """open_position open_position_with_metadata open_bundled_position
            open_position_with_token_extensions close_position close_position_with_token_extensions
            close_bundled_position delete_position_bundle initialize_position_bundle
            initialize_position_bundle_with_metadata lock_position transfer_locked_position initialize_tick_array
            initialize_dynamic_tick_array""",
        "a new pool, which nothing is known of": "initialize_pool initialize_pool_v2 initialize_pool_with_adaptive_fee",
    },
    "clmm": {
        "owners, rewards and what was earned": """collect_fund_fee collect_protocol_fee collect_remaining_rewards
            initialize_reward set_reward_params transfer_reward_owner update_reward_infos create_operation_account
            update_operation_account""",
        "pools to come": "create_amm_config create_dynamic_fee_config create_support_mint_associated",
        "pools that are refused": "update_dynamic_fee_config",
        "less of a limit order, beyond which nothing is known": """close_limit_order decrease_limit_order
            settle_limit_order""",
        "positions without liquidity": "close_position close_protocol_position",
        "a new pool, which nothing is known of": "create_pool create_customizable_pool",
    },
    "cpmm": {
        "owners and what was earned": """close_permission_pda create_permission_pda collect_creator_fee
            collect_fund_fee collect_protocol_fee""",
        "pools to come": "create_amm_config",
        "a new pool, which nothing is known of": "initialize initialize_with_permission",
    },
    "dlmm": {
        "owners, rewards and what was earned": """claim_fee claim_fee2 claim_reward claim_reward2
            close_claim_fee_operator_account close_operator_account create_operator_account fund_reward
            initialize_reward set_permissionless_operation_bits update_fees_and_reward2 update_fees_and_rewards
            update_position_operator update_reward_duration update_reward_funder withdraw_ineligible_reward
            withdraw_protocol_fee zap_protocol_fee increase_oracle_length""",
        "pools to come": """close_preset_parameter close_preset_parameter2 close_token_badge
            initialize_preset_parameter initialize_token_badge""",
        "an address that swaps before all others": """set_pre_activation_duration
            set_pre_activation_swap_address""",
        "arrays and positions without liquidity": """close_bin_array close_limit_order_if_empty close_position
            close_position2 close_position_if_empty decrease_position_length increase_position_length
            increase_position_length2 initialize_bin_array initialize_bin_array_bitmap_extension
            initialize_position initialize_position2 initialize_position_by_operator initialize_position_pda
            migrate_bin_array migrate_position""",
        "a new pair, which nothing is known of": """initialize_customizable_permissionless_lb_pair
            initialize_customizable_permissionless_lb_pair2 initialize_lb_pair initialize_lb_pair2
            initialize_permission_lb_pair""",
    },
}
INSTRUCTIONS = [
    (venue, name)
    for venue, program in PROGRAMS.items()
    for name in (instructions.SWAPS[program] + " " + instructions.OTHERS[program]).split()
]
#: A pool is at each of these places of an instruction's accounts; in some tests its configuration at another.
POOLS, CONFIG = ACCOUNTS[1:8], ACCOUNTS[9]


def cpmm_swap(pool: bytes, trade_fee: int = 25_000, creator_fee: int = 0) -> list[str]:
    event = anchor("event", "SwapEvent") + pool + numbers(8, 10**10, 10**10, 10**7, 9 * 10**6, 0, 0) + b"\1"
    return logged(event + OTHER + SIGNER + numbers(8, trade_fee, creator_fee) + b"\1")


def dlmm_event(name: str, *parts: bytes) -> tuple[bytes, bytes, list[bytes]]:
    return registry.METEORA_DLMM, SELF_CALL + anchor("event", name) + b"".join(parts), []


def test_what_is_quiet_is_named_once_and_is_known() -> None:
    for venue, reasons in QUIET.items():
        names = [name for each in reasons.values() for name in each.split()]
        assert len(names) == len(set(names))
        assert set(names) <= set(instructions.OTHERS[PROGRAMS[venue]].split())


@pytest.mark.parametrize(("venue", "name"), INSTRUCTIONS)
def test_an_instruction_that_changes_a_pool_says_so(venue: str, name: str) -> None:
    """Nothing but its name is readable: no arguments, no event."""
    program = PROGRAMS[venue]
    swapped = {"whirlpool": traded, "clmm": clmm_swap, "cpmm": cpmm_swap}.get(venue, lambda pool: [])
    named = anchor("global", instructions.SWAPS[program].split()[0])
    seen = [Recorded().call(program, named, swapped(pool)).document() for pool in POOLS]
    accounts = [SIGNER, ACCOUNTS[2]] if (venue, name) == ("cpmm", "update_amm_config") else ACCOUNTS
    swaps, updates, _ = parse(*seen, Recorded().call(program, anchor("global", name), [], accounts).document())
    assert swaps == []
    assert updates or any(name in names.split() for names in QUIET[venue].values())
    for row in updates:
        assert row["pool"] in ACCOUNTS
        told = "reserve_a", "reserve_b", "sqrt_price_x64", "liquidity", "liquidity_delta", "fee_pips", "bins"
        assert not any(row[field] for field in told)


@pytest.mark.parametrize("number", range(18))
def test_an_instruction_of_raydium_v4_that_changes_a_pool_says_so(number: int) -> None:
    """The others make a pool, or are fee discounts (8), a simulation (12) and the program's own settings."""
    pool = ACCOUNTS[1]
    log = b"\3" + numbers(8, 10, 1, 1, 10, 1000, 1000, 9)
    seen = Recorded().call(registry.RAYDIUM_AMM_V4, b"\x09", ["Program log: ray_log: " + encoded(log)])
    swaps, updates, _ = parse(seen.document(), Recorded().call(registry.RAYDIUM_AMM_V4, bytes([number]), []).document())
    assert swaps == []
    changed = {row["pool"] for row in updates}
    assert changed == {pool} or number in (0, 1, 8, 10, 12, 14, 15)
    assert {row["kind"] for row in updates} <= {KIND.KIND_UNSPECIFIED, KIND.KIND_LIQUIDITY, KIND.KIND_REMOVE}


def encoded(data: bytes) -> str:
    return logged(data)[0].removeprefix("Program data: ")


def test_an_event_of_every_kind_is_read_or_quiet() -> None:
    """Of the programs' published interfaces; another event of an unknown instruction puts the pools in doubt."""
    for program, names in update_events.QUIET.items():
        for name in names.split():
            assert update_events.decode_change(program, anchor("event", name) + bytes(300)) is None
    assert not update_events.is_known(registry.RAYDIUM_CLMM, anchor("event", "ConfigChangeEvent"))


@pytest.mark.parametrize(
    ("param", "value", "made", "told"),
    [
        (0, 700, KIND.KIND_FEE, 700),
        (1, 700, None, 0),
        (2, 700, None, 0),
    ],
)
def test_another_fee_of_a_clmm_configuration_reaches_its_pools(
    param: int, value: int, made: int | None, told: int
) -> None:
    """Of a pool that was seen made without another fee it is the fee; any other may charge more."""
    new = anchor("global", "create_pool") + numbers(16, 1 << 64) + numbers(8, 0)
    made_at = [SIGNER, CONFIG, ACCOUNTS[2], *ACCOUNTS[3:9]]
    other = [SIGNER, CONFIG, ACCOUNTS[5], *ACCOUNTS[3:9]]
    elsewhere = [SIGNER, OTHER, ACCOUNTS[6], *ACCOUNTS[3:9]]
    router = [*ACCOUNTS[:2], CONFIG, ACCOUNTS[7], *ACCOUNTS[3:5]]
    documents = [
        Recorded().call(registry.RAYDIUM_CLMM, new, [], made_at),
        Recorded().call(registry.RAYDIUM_CLMM, anchor("global", "swap_v2"), clmm_swap(ACCOUNTS[5]), other),
        Recorded().call(registry.RAYDIUM_CLMM, anchor("global", "swap"), clmm_swap(ACCOUNTS[6]), elsewhere),
        Recorded().call(registry.RAYDIUM_CLMM, anchor("global", "swap_router_base_in"), clmm_swap(ACCOUNTS[7]), router),
        Recorded().call(
            registry.RAYDIUM_CLMM,
            anchor("global", "update_amm_config") + bytes([param]) + numbers(4, value),
            [],
            [SIGNER, CONFIG],
        ),
    ]
    _, updates, errors = parse(*(one.document() for one in documents))
    assert errors == []
    expected = {} if made is None else {ACCOUNTS[2]: made, ACCOUNTS[5]: KIND.KIND_REMOVE, ACCOUNTS[7]: KIND.KIND_REMOVE}
    assert {row["pool"]: row["kind"] for row in updates} == expected
    assert sum(row["fee_pips"] for row in updates) == told
    assert len({row["ix_index"] for row in updates}) == len(updates)


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        (0, 4_000, [KIND.KIND_FEE, KIND.KIND_FEE, KIND.KIND_REMOVE]),
        (7, 500, [None, KIND.KIND_REMOVE, KIND.KIND_REMOVE]),
        (5, 500, [None, None, None]),
    ],
)
def test_another_fee_of_a_cpmm_configuration_reaches_its_pools(
    param: int, value: int, expected: list[int | None]
) -> None:
    """One pool was seen made, one paid the trade fee alone in its last swap, one pays its creator."""
    new = anchor("global", "initialize") + numbers(8, 10**6, 10**6, 0)
    pools = [ACCOUNTS[3], ACCOUNTS[6], ACCOUNTS[7]]
    swap = anchor("global", "swap_base_input")
    documents = [
        Recorded().call(registry.RAYDIUM_CPMM, new, [], [SIGNER, CONFIG, OTHER, pools[0], *ACCOUNTS[4:6]]),
        Recorded().call(registry.RAYDIUM_CPMM, swap, cpmm_swap(pools[1]), [SIGNER, OTHER, CONFIG, pools[1]]),
        Recorded().call(
            registry.RAYDIUM_CPMM, swap, cpmm_swap(pools[2], creator_fee=5), [SIGNER, OTHER, CONFIG, pools[2]]
        ),
        Recorded().call(
            registry.RAYDIUM_CPMM,
            anchor("global", "update_amm_config") + bytes([param]) + numbers(8, value),
            [],
            [SIGNER, CONFIG],
        ),
    ]
    _, updates, errors = parse(*(one.document() for one in documents))
    assert errors == []
    kinds = {row["pool"]: row["kind"] for row in updates}
    assert [kinds.get(pool) for pool in pools] == expected
    assert {row["fee_pips"] for row in updates if row["kind"] == KIND.KIND_FEE} <= {value}


@pytest.mark.parametrize(
    ("program", "name", "place", "closed", "open_"),
    [
        (registry.RAYDIUM_CLMM, "update_pool_status", 1, 0b010000, 0b101111),
        (registry.RAYDIUM_CPMM, "update_pool_status", 1, 0b100, 0b011),
        (registry.METEORA_DLMM, "set_pair_status", 0, 1, 0),
        (registry.METEORA_DLMM, "set_pair_status_permissionless", 0, 1, 0),
    ],
)
def test_a_pool_that_is_closed_to_swaps_is_removed(
    program: bytes, name: str, place: int, closed: int, open_: int
) -> None:
    for status, expected in ((closed, [(ACCOUNTS[place], KIND.KIND_REMOVE)]), (open_, [])):
        data = anchor("global", name) + bytes([status])
        _, updates, errors = parse(Recorded().call(program, data, []).document())
        assert errors == []
        assert [(row["pool"], row["kind"]) for row in updates] == expected


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (b"\x00" + numbers(8, 6), None),
        (b"\x00" + numbers(8, 4), KIND.KIND_REMOVE),
        (b"\x02" + numbers(8, 5), None),
        (b"\x02" + numbers(8, 5, 10_000, 25, 10_000, 12, 100, 40, 10_000), KIND.KIND_FEE),
        (b"\x03" + numbers(8, 2_000_000_000), KIND.KIND_REMOVE),
        (b"\x0b" + numbers(8, 2_000_000_000), KIND.KIND_REMOVE),
    ],
)
def test_what_an_operator_sets_of_a_raydium_v4_pool(arguments: bytes, kind: int | None) -> None:
    _, updates, errors = parse(Recorded().call(registry.RAYDIUM_AMM_V4, b"\x06" + arguments, []).document())
    assert errors == []
    assert [row["kind"] for row in updates] == ([] if kind is None else [kind])
    assert kind != KIND.KIND_FEE or updates[0]["fee_pips"] == 4_000


def test_a_pool_that_opens_later_has_no_reserves_before_its_first_swap() -> None:
    new = b"\x01\xff" + numbers(8, 2_000_000_000, 10**6, 10**6)
    document = Recorded().call(registry.RAYDIUM_AMM_V4, new, []).document()
    for time_s, told in ((1_999_999_999, False), (2_000_000_001, True), (0, True)):
        parser = SolanaSwaps()
        parser.add(document, slot=1, timestamp_us=time_s * 1_000_000)
        (row,) = (row for batch in parser.flush() for row in batch.to_pylist())
        assert (row["kind"], bool(row["reserve_a"]), bool(row["reserve_b"])) == (KIND.KIND_CREATE, told, told)


def swap2(left: int = 0, on_input: int = 1) -> tuple[bytes, bytes, list[bytes]]:
    told = ACCOUNTS[0] + SIGNER + numbers(4, 5, 6) + b"\1" + numbers(16, 3) + numbers(8, 1000, left, 990, 1, 1, 0, 0)
    return dlmm_event("Swap2Evt", told, bytes([on_input, 1]))


def test_a_dlmm_swap_that_is_told_in_the_second_event_alone_is_a_swap() -> None:
    call = Recorded().call(registry.METEORA_DLMM, anchor("global", "swap2"), [], within=[swap2()])
    (row,), updates, errors = parse(call.document())
    assert (updates, errors) == ([], [])
    amounts = [int.from_bytes(row[name], "little") for name in ("amount_in", "amount_out")]
    assert (row["pool"], amounts, row["a_to_b"], row["tick"]) == (ACCOUNTS[0], [1000, 990], True, 6)


def test_a_dlmm_swap_that_is_told_in_two_events_is_one() -> None:
    first = dlmm_event("Swap", ACCOUNTS[0] + SIGNER + numbers(4, 5, 6) + numbers(8, 1000, 990) + b"\1" + bytes(48))
    for within in ([first, swap2()], [swap2(), first], [first, swap2(left=7)]):
        call = Recorded().call(registry.METEORA_DLMM, anchor("global", "swap2"), [], within=within)
        swaps, updates, errors = parse(call.document())
        assert (len(swaps), updates, errors) == (1, [], [])


@pytest.mark.parametrize("event", [swap2(left=7), swap2(on_input=0)])
def test_a_dlmm_swap_whose_second_event_leaves_its_amounts_open_puts_the_pair_in_doubt(event: Any) -> None:
    call = Recorded().call(registry.METEORA_DLMM, anchor("global", "swap2"), [], within=[event])
    swaps, updates, (error,) = parse(call.document())
    assert (swaps, error.reason) == ([], "no_outcome")
    assert [(row["pool"], row["kind"]) for row in updates] == [(ACCOUNTS[0], KIND.KIND_UNSPECIFIED)]


def opened(position: bytes, lower: int, width: int) -> Recorded:
    data = anchor("global", "initialize_position") + numbers(4, lower, width)
    return Recorded().call(registry.METEORA_DLMM, data, [], [SIGNER, position, ACCOUNTS[0], *ACCOUNTS[4:8]])


@pytest.mark.parametrize("told", [True, False])
def test_a_position_that_is_rebalanced_changes_the_bins_that_its_event_names(told: bool) -> None:
    event = dlmm_event(
        "Rebalancing", ACCOUNTS[0], OTHER, SIGNER, numbers(4, 30), bytes(48), numbers(4, 10, 19, 25, 40), bytes(16)
    )
    call = Recorded().call(
        registry.METEORA_DLMM,
        anchor("global", "rebalance_liquidity"),
        [],
        [OTHER, ACCOUNTS[0], *ACCOUNTS[4:8]],
        [event] if told else [],
    )
    _, (row,), errors = parse(opened(OTHER, 10, 10).document(), call.document())
    assert errors == []
    # Without bins, nobody says which: the pair has no state.
    assert (row["kind"], row["tick_lower"], row["tick_upper"]) == (KIND.KIND_LIQUIDITY, *((10, 40) if told else (0, 0)))


@pytest.mark.parametrize(
    ("name", "place"),
    [("increase_position_length", 2), ("increase_position_length2", 2), ("decrease_position_length", 1)],
)
def test_a_position_that_grew_has_another_range(name: str, place: int) -> None:
    accounts = [SIGNER, ACCOUNTS[0], *ACCOUNTS[4:8]]
    accounts[place:place] = [OTHER]
    grown = Recorded().call(registry.METEORA_DLMM, anchor("global", name) + numbers(2, 5) + b"\1", [], accounts)
    emptied = [OTHER, ACCOUNTS[0], *ACCOUNTS[4:8]]
    taken = Recorded().call(registry.METEORA_DLMM, anchor("global", "remove_all_liquidity"), [], emptied)
    _, (row,), _ = parse(opened(OTHER, 10, 10).document(), taken.document())
    assert (row["tick_lower"], row["tick_upper"]) == (10, 19)
    _, (row,), errors = parse(*(one.document() for one in (opened(OTHER, 10, 10), grown, taken)))
    assert errors == []
    assert (row["kind"], row["tick_lower"], row["tick_upper"]) == (KIND.KIND_LIQUIDITY, 0, 0)


def test_an_unknown_instruction_with_an_event_that_nobody_knows_leaves_its_pools_in_doubt() -> None:
    """Its swap is told all the same."""
    strange = logged(anchor("event", "BinsOf2027") + bytes(40))
    call = Recorded().call(registry.WHIRLPOOL, anchor("global", "of_2027"), traded(ACCOUNTS[2]) + strange)
    (swap,), (update,), (error,) = parse(call.document())
    assert (swap["pool"], error.reason) == (ACCOUNTS[2], "unknown_instruction")
    assert (update["pool"], update["kind"]) == (ACCOUNTS[2], KIND.KIND_LIQUIDITY)
    assert update["ix_index"] > swap["ix_index"]
    known = Recorded().call(registry.WHIRLPOOL, anchor("global", "of_2027"), traded(ACCOUNTS[2]))
    assert parse(known.document())[1:] == ([], [])
