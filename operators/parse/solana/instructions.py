"""Which instruction of a venue's program is a swap, which is known and is not, and which is unknown.

What a program says of itself is read whatever its instruction is called; a name tells that nothing was said is right.

Names after the programs' published interfaces; Anchor's discriminator is the first eight bytes of
sha256("global:NAME"), Raydium AMM v4 numbers its instructions in one byte.
"""

from __future__ import annotations

from hashlib import sha256

from mevflow.operators.accounts.registry import METEORA_DLMM, RAYDIUM_AMM_V4, RAYDIUM_CLMM, RAYDIUM_CPMM, WHIRLPOOL

SWAPS: dict[bytes, str] = {
    WHIRLPOOL: "swap swap_v2 two_hop_swap two_hop_swap_v2",
    RAYDIUM_CLMM: "swap swap_v2 swap_router_base_in",
    RAYDIUM_CPMM: "swap_base_input swap_base_output",
    METEORA_DLMM: "swap swap2 swap_exact_out swap_exact_out2 swap_with_price_impact swap_with_price_impact2",
}

OTHERS: dict[bytes, str] = {
    WHIRLPOOL: """close_bundled_position close_position close_position_with_token_extensions collect_fees
        collect_fees_v2 collect_protocol_fees collect_protocol_fees_v2 collect_reward collect_reward_v2
        decrease_liquidity
        decrease_liquidity_v2 delete_position_bundle increase_liquidity increase_liquidity_v2 initialize_config
        initialize_config_extension initialize_dynamic_tick_array initialize_fee_tier initialize_pool
        initialize_pool_v2 initialize_position_bundle initialize_position_bundle_with_metadata initialize_reward
        initialize_reward_v2 initialize_tick_array initialize_token_badge lock_position open_bundled_position
        open_position open_position_with_metadata open_position_with_token_extensions reset_position_range
        set_collect_protocol_fees_authority set_default_fee_rate set_fee_rate set_protocol_fee_rate
        set_reward_authority set_reward_emissions set_reward_emissions_v2 transfer_locked_position
        update_fees_and_rewards
        delete_token_badge idl_include increase_liquidity_by_token_amounts_v2 initialize_adaptive_fee_tier
        initialize_pool_with_adaptive_fee migrate_repurpose_reward_authority_space reposition_liquidity_v2
        set_adaptive_fee_constants set_config_extension_authority set_config_feature_flag set_default_base_fee_rate
        set_default_protocol_fee_rate set_delegated_fee_authority set_fee_authority
        set_fee_rate_by_delegated_fee_authority set_initialize_pool_authority set_preset_adaptive_fee_constants
        set_reward_authority_by_super_authority set_reward_emissions_super_authority set_token_badge_attribute
        set_token_badge_authority""",
    RAYDIUM_CLMM: """close_position collect_fund_fee collect_protocol_fee collect_remaining_rewards create_amm_config
        create_operation_account create_pool decrease_liquidity decrease_liquidity_v2 increase_liquidity
        increase_liquidity_v2 initialize_reward open_position open_position_v2 open_position_with_token22_nft
        set_reward_params transfer_reward_owner update_amm_config update_operation_account update_pool_status
        update_reward_infos
        close_limit_order close_protocol_position create_customizable_pool create_dynamic_fee_config
        create_support_mint_associated decrease_limit_order increase_limit_order open_limit_order settle_limit_order
        update_dynamic_fee_config""",
    RAYDIUM_CPMM: """close_permission_pda collect_creator_fee collect_fund_fee collect_protocol_fee create_amm_config
        create_permission_pda deposit initialize initialize_with_permission update_amm_config update_pool_status
        withdraw""",
    METEORA_DLMM: """add_liquidity add_liquidity2 add_liquidity_by_strategy add_liquidity_by_strategy2
        add_liquidity_by_strategy_one_side add_liquidity_by_weight add_liquidity_by_weight2 add_liquidity_one_side
        add_liquidity_one_side_precise add_liquidity_one_side_precise2 cancel_limit_order claim_fee claim_fee2
        claim_reward claim_reward2 close_bin_array close_limit_order_if_empty close_position close_position2
        close_position_if_empty close_preset_parameter close_preset_parameter2 close_token_badge
        close_claim_fee_operator_account close_operator_account create_operator_account decrease_position_length
        fund_reward go_to_a_bin increase_oracle_length increase_position_length increase_position_length2
        initialize_bin_array initialize_bin_array_bitmap_extension initialize_customizable_permissionless_lb_pair
        initialize_customizable_permissionless_lb_pair2 initialize_lb_pair initialize_lb_pair2
        initialize_permission_lb_pair initialize_position initialize_position2 initialize_position_by_operator
        initialize_position_pda initialize_preset_parameter initialize_reward initialize_token_badge
        migrate_bin_array migrate_position place_limit_order rebalance_liquidity remove_all_liquidity
        remove_liquidity remove_liquidity2 remove_liquidity_by_range remove_liquidity_by_range2 set_activation_point
        set_pair_status set_pair_status_permissionless set_permissionless_operation_bits set_pre_activation_duration
        set_pre_activation_swap_address update_base_fee_parameters update_dynamic_fee_parameters
        update_fees_and_reward2 update_fees_and_rewards update_position_operator update_reward_duration
        update_reward_funder withdraw_ineligible_reward withdraw_protocol_fee zap_protocol_fee""",
}

#: swapBaseIn, swapBaseOut and their second versions, of the seventeen and more of AMM v4.
_AMM_V4_SWAPS = (9, 11, 16, 17)
_AMM_V4_LAST = 17


def _first(name: str) -> bytes:
    return sha256(f"global:{name}".encode()).digest()[:8]


def _anchor(names: str) -> frozenset[bytes]:
    return frozenset(_first(name) for name in names.split())


_SWAP_FIRST_BYTES = {program: _anchor(names) for program, names in SWAPS.items()}
_OTHER_FIRST_BYTES = {program: _anchor(names) for program, names in OTHERS.items()}


#: Where an instruction that changes a pool, or two, has it among its accounts.
_POOL_PLACES: dict[bytes, dict[str, int | tuple[int, int]]] = {
    WHIRLPOOL: {
        "swap": 2,
        "swap_v2": 4,
        "two_hop_swap": (2, 3),
        "two_hop_swap_v2": (0, 1),
        "set_fee_rate": 1,
        "increase_liquidity": 0,
        "increase_liquidity_v2": 0,
        "decrease_liquidity": 0,
        "decrease_liquidity_v2": 0,
        "increase_liquidity_by_token_amounts_v2": 0,
        "reposition_liquidity_v2": 0,
        "reset_position_range": 2,
    },
    RAYDIUM_CLMM: {
        "swap": 2,
        "swap_v2": 2,
        "increase_liquidity": 2,
        "increase_liquidity_v2": 2,
        "decrease_liquidity": 3,
        "decrease_liquidity_v2": 3,
        "open_position": 5,
        "open_position_v2": 5,
        "open_position_with_token22_nft": 4,
        "open_limit_order": 1,
        "increase_limit_order": 1,
        "update_pool_status": 1,
    },
    RAYDIUM_CPMM: {"swap_base_input": 3, "swap_base_output": 3, "deposit": 2, "withdraw": 2, "update_pool_status": 1},
    METEORA_DLMM: {
        "swap": 0,
        "swap2": 0,
        "swap_exact_out": 0,
        "swap_exact_out2": 0,
        "swap_with_price_impact": 0,
        "swap_with_price_impact2": 0,
        "add_liquidity": 1,
        "add_liquidity2": 1,
        "add_liquidity_by_strategy": 1,
        "add_liquidity_by_strategy2": 1,
        "add_liquidity_by_strategy_one_side": 1,
        "add_liquidity_by_weight": 1,
        "add_liquidity_by_weight2": 1,
        "add_liquidity_one_side": 1,
        "add_liquidity_one_side_precise": 1,
        "add_liquidity_one_side_precise2": 1,
        "remove_liquidity": 1,
        "remove_liquidity2": 1,
        "remove_liquidity_by_range": 1,
        "remove_liquidity_by_range2": 1,
        "remove_all_liquidity": 1,
        "rebalance_liquidity": 1,
        "go_to_a_bin": 0,
        "place_limit_order": 0,
        "cancel_limit_order": 0,
        "update_base_fee_parameters": 0,
        "update_dynamic_fee_parameters": 0,
        "set_pair_status": 0,
        "set_pair_status_permissionless": 0,
        "set_activation_point": 0,
    },
}
#: Instructions after which a pool charges another fee, or is closed to swaps.
_TERMS: dict[bytes, str] = {
    WHIRLPOOL: "set_fee_rate set_fee_rate_by_delegated_fee_authority set_adaptive_fee_constants",
    RAYDIUM_CLMM: "update_amm_config update_pool_status",
    RAYDIUM_CPMM: "update_amm_config update_pool_status",
    METEORA_DLMM: """update_base_fee_parameters update_dynamic_fee_parameters set_pair_status
        set_pair_status_permissionless set_activation_point""",
}
#: Where an instruction of a pool that has a configuration account has it among its accounts.
_CONFIG_PLACES: dict[bytes, dict[str, int]] = {
    RAYDIUM_CLMM: {"swap": 1, "swap_v2": 1, "create_pool": 1, "create_customizable_pool": 1},
    RAYDIUM_CPMM: {"swap_base_input": 2, "swap_base_output": 2, "initialize": 1, "initialize_with_permission": 2},
}
_CONFIG_CHANGE = sha256(b"global:update_amm_config").digest()[:8]
_AMM_V4_SET_PARAMS = 6
_AMM_V4_CHANGES = (3, 4, _AMM_V4_SET_PARAMS, 7, *_AMM_V4_SWAPS)
#: MonitorStep, MigrateToOpenBook, AdminCancelOrders: what of a pool lay in an order book came and went.
_AMM_V4_ORDER_BOOK = (2, 5, 13)


_PLACES = {program: {_first(name): place for name, place in places.items()} for program, places in _POOL_PLACES.items()}
_TERMS_FIRST_BYTES = {program: _anchor(names) for program, names in _TERMS.items()}
_CONFIG_FIRST_BYTES = {
    program: {_first(name): place for name, place in places.items()} for program, places in _CONFIG_PLACES.items()
}


def pool_places(program: bytes, data: bytes) -> tuple[int, ...]:
    """Where an instruction that changes pools has them among its accounts; nothing for any other."""
    if program == RAYDIUM_AMM_V4:
        return (1,) if data and data[0] in _AMM_V4_CHANGES else ()
    place = _PLACES.get(program, {}).get(data[:8], ())
    return (place,) if isinstance(place, int) else place


def sets_terms(program: bytes, data: bytes) -> bool:
    """Whether an instruction gives a pool another fee, or closes it to swaps."""
    if program == RAYDIUM_AMM_V4:
        return data[:1] == bytes([_AMM_V4_SET_PARAMS])
    return data[:8] in _TERMS_FIRST_BYTES.get(program, ())


def sets_config(program: bytes, data: bytes) -> bool:
    """Whether an instruction changes what all pools of a configuration account charge."""
    return program in _CONFIG_PLACES and data[:8] == _CONFIG_CHANGE


def runs_order_book(program: bytes, data: bytes) -> bool:
    """Whether an instruction moves what a Raydium v4 pool has in an order book, of which it says nothing."""
    return program == RAYDIUM_AMM_V4 and data[:1] in {bytes([one]) for one in _AMM_V4_ORDER_BOOK}


def config_of(program: bytes, data: bytes, accounts: list[bytes], pool: bytes) -> bytes:
    """The configuration account of a pool that an instruction swaps in or makes; empty where it has or names none."""
    if program not in _CONFIG_FIRST_BYTES:
        return b""
    place = _CONFIG_FIRST_BYTES[program].get(data[:8])
    if place is None and program == RAYDIUM_CLMM and pool in accounts:
        place = accounts.index(pool) - 1  # a router's pools come after theirs
    return accounts[place] if place is not None and 0 <= place < len(accounts) else b""


def is_swap(program: bytes, data: bytes) -> bool | None:
    """True for a swap, False for another instruction that is known, None for one that is not."""
    if program == RAYDIUM_AMM_V4:
        if not data or data[0] > _AMM_V4_LAST:
            return None
        return data[0] in _AMM_V4_SWAPS
    if data[:8] in _SWAP_FIRST_BYTES.get(program, ()):
        return True
    return False if data[:8] in _OTHER_FIRST_BYTES.get(program, ()) else None
