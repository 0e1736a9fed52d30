from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Chain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHAIN_UNSPECIFIED: _ClassVar[Chain]
    CHAIN_SOLANA: _ClassVar[Chain]
    CHAIN_ETHEREUM: _ClassVar[Chain]
    CHAIN_BSC: _ClassVar[Chain]
    CHAIN_POLYGON: _ClassVar[Chain]
    CHAIN_BASE: _ClassVar[Chain]
    CHAIN_ARBITRUM: _ClassVar[Chain]

class Venue(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VENUE_UNSPECIFIED: _ClassVar[Venue]
    VENUE_ORCA_WHIRLPOOL: _ClassVar[Venue]
    VENUE_UNISWAP_V2: _ClassVar[Venue]
    VENUE_UNISWAP_V3: _ClassVar[Venue]
    VENUE_RAYDIUM_V4: _ClassVar[Venue]
    VENUE_RAYDIUM_CPMM: _ClassVar[Venue]
    VENUE_RAYDIUM_CLMM: _ClassVar[Venue]
    VENUE_METEORA_DLMM: _ClassVar[Venue]
    VENUE_CURVE_STABLE: _ClassVar[Venue]
    VENUE_SABER: _ClassVar[Venue]
    VENUE_AERODROME_VOLATILE: _ClassVar[Venue]
    VENUE_AERODROME_STABLE: _ClassVar[Venue]
    VENUE_SLIPSTREAM: _ClassVar[Venue]
    VENUE_UNISWAP_V4: _ClassVar[Venue]
    VENUE_BALANCER_WEIGHTED: _ClassVar[Venue]
CHAIN_UNSPECIFIED: Chain
CHAIN_SOLANA: Chain
CHAIN_ETHEREUM: Chain
CHAIN_BSC: Chain
CHAIN_POLYGON: Chain
CHAIN_BASE: Chain
CHAIN_ARBITRUM: Chain
VENUE_UNSPECIFIED: Venue
VENUE_ORCA_WHIRLPOOL: Venue
VENUE_UNISWAP_V2: Venue
VENUE_UNISWAP_V3: Venue
VENUE_RAYDIUM_V4: Venue
VENUE_RAYDIUM_CPMM: Venue
VENUE_RAYDIUM_CLMM: Venue
VENUE_METEORA_DLMM: Venue
VENUE_CURVE_STABLE: Venue
VENUE_SABER: Venue
VENUE_AERODROME_VOLATILE: Venue
VENUE_AERODROME_STABLE: Venue
VENUE_SLIPSTREAM: Venue
VENUE_UNISWAP_V4: Venue
VENUE_BALANCER_WEIGHTED: Venue

class Swap(_message.Message):
    __slots__ = ("chain", "slot", "tx_index", "ix_index", "timestamp_us", "signature", "signer", "venue", "pool", "mint_in", "mint_out", "amount_in", "amount_out", "reserve_a", "reserve_b", "sqrt_price_x64", "sqrt_price_x96", "liquidity", "tick", "fee_pips", "priority_fee_lamports", "tip_lamports", "a_to_b", "reanchored", "fork")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    IX_INDEX_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    MINT_IN_FIELD_NUMBER: _ClassVar[int]
    MINT_OUT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_OUT_FIELD_NUMBER: _ClassVar[int]
    RESERVE_A_FIELD_NUMBER: _ClassVar[int]
    RESERVE_B_FIELD_NUMBER: _ClassVar[int]
    SQRT_PRICE_X64_FIELD_NUMBER: _ClassVar[int]
    SQRT_PRICE_X96_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    FEE_PIPS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FEE_LAMPORTS_FIELD_NUMBER: _ClassVar[int]
    TIP_LAMPORTS_FIELD_NUMBER: _ClassVar[int]
    A_TO_B_FIELD_NUMBER: _ClassVar[int]
    REANCHORED_FIELD_NUMBER: _ClassVar[int]
    FORK_FIELD_NUMBER: _ClassVar[int]
    chain: Chain
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int
    signature: bytes
    signer: bytes
    venue: Venue
    pool: bytes
    mint_in: bytes
    mint_out: bytes
    amount_in: bytes
    amount_out: bytes
    reserve_a: bytes
    reserve_b: bytes
    sqrt_price_x64: bytes
    sqrt_price_x96: bytes
    liquidity: bytes
    tick: int
    fee_pips: int
    priority_fee_lamports: int
    tip_lamports: int
    a_to_b: bool
    reanchored: bool
    fork: int
    def __init__(self, chain: _Optional[_Union[Chain, str]] = ..., slot: _Optional[int] = ..., tx_index: _Optional[int] = ..., ix_index: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., signature: _Optional[bytes] = ..., signer: _Optional[bytes] = ..., venue: _Optional[_Union[Venue, str]] = ..., pool: _Optional[bytes] = ..., mint_in: _Optional[bytes] = ..., mint_out: _Optional[bytes] = ..., amount_in: _Optional[bytes] = ..., amount_out: _Optional[bytes] = ..., reserve_a: _Optional[bytes] = ..., reserve_b: _Optional[bytes] = ..., sqrt_price_x64: _Optional[bytes] = ..., sqrt_price_x96: _Optional[bytes] = ..., liquidity: _Optional[bytes] = ..., tick: _Optional[int] = ..., fee_pips: _Optional[int] = ..., priority_fee_lamports: _Optional[int] = ..., tip_lamports: _Optional[int] = ..., a_to_b: _Optional[bool] = ..., reanchored: _Optional[bool] = ..., fork: _Optional[int] = ...) -> None: ...

class TickLiquidity(_message.Message):
    __slots__ = ("tick", "liquidity_net", "liquidity_gross")
    TICK_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_NET_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_GROSS_FIELD_NUMBER: _ClassVar[int]
    tick: int
    liquidity_net: bytes
    liquidity_gross: bytes
    def __init__(self, tick: _Optional[int] = ..., liquidity_net: _Optional[bytes] = ..., liquidity_gross: _Optional[bytes] = ...) -> None: ...

class StableCoin(_message.Message):
    __slots__ = ("mint", "balance", "rate", "weight")
    MINT_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    mint: bytes
    balance: bytes
    rate: bytes
    weight: bytes
    def __init__(self, mint: _Optional[bytes] = ..., balance: _Optional[bytes] = ..., rate: _Optional[bytes] = ..., weight: _Optional[bytes] = ...) -> None: ...

class StableCurve(_message.Message):
    __slots__ = ("coins", "amp", "amp_precision", "fee_numerator", "fee_denominator", "admin_fee_numerator", "admin_fee_denominator", "offpeg_fee_multiplier", "one_division")
    COINS_FIELD_NUMBER: _ClassVar[int]
    AMP_FIELD_NUMBER: _ClassVar[int]
    AMP_PRECISION_FIELD_NUMBER: _ClassVar[int]
    FEE_NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    FEE_DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    ADMIN_FEE_NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    ADMIN_FEE_DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    OFFPEG_FEE_MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    ONE_DIVISION_FIELD_NUMBER: _ClassVar[int]
    coins: _containers.RepeatedCompositeFieldContainer[StableCoin]
    amp: int
    amp_precision: int
    fee_numerator: int
    fee_denominator: int
    admin_fee_numerator: int
    admin_fee_denominator: int
    offpeg_fee_multiplier: int
    one_division: bool
    def __init__(self, coins: _Optional[_Iterable[_Union[StableCoin, _Mapping]]] = ..., amp: _Optional[int] = ..., amp_precision: _Optional[int] = ..., fee_numerator: _Optional[int] = ..., fee_denominator: _Optional[int] = ..., admin_fee_numerator: _Optional[int] = ..., admin_fee_denominator: _Optional[int] = ..., offpeg_fee_multiplier: _Optional[int] = ..., one_division: _Optional[bool] = ...) -> None: ...

class Bin(_message.Message):
    __slots__ = ("id", "amount_a", "amount_b", "open_order", "processed_order", "order_is_ask")
    ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_A_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_B_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDER_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_ORDER_FIELD_NUMBER: _ClassVar[int]
    ORDER_IS_ASK_FIELD_NUMBER: _ClassVar[int]
    id: int
    amount_a: bytes
    amount_b: bytes
    open_order: bytes
    processed_order: bytes
    order_is_ask: bool
    def __init__(self, id: _Optional[int] = ..., amount_a: _Optional[bytes] = ..., amount_b: _Optional[bytes] = ..., open_order: _Optional[bytes] = ..., processed_order: _Optional[bytes] = ..., order_is_ask: _Optional[bool] = ...) -> None: ...

class BinFees(_message.Message):
    __slots__ = ("base_factor", "base_fee_power", "filter_period_s", "decay_period_s", "reduction_factor_bps", "variable_fee_control", "max_volatility_accumulator", "protocol_share_bps", "volatility_accumulator", "volatility_reference", "index_reference", "last_update_s", "fee_in_b_only", "limit_orders")
    BASE_FACTOR_FIELD_NUMBER: _ClassVar[int]
    BASE_FEE_POWER_FIELD_NUMBER: _ClassVar[int]
    FILTER_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    DECAY_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    REDUCTION_FACTOR_BPS_FIELD_NUMBER: _ClassVar[int]
    VARIABLE_FEE_CONTROL_FIELD_NUMBER: _ClassVar[int]
    MAX_VOLATILITY_ACCUMULATOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_SHARE_BPS_FIELD_NUMBER: _ClassVar[int]
    VOLATILITY_ACCUMULATOR_FIELD_NUMBER: _ClassVar[int]
    VOLATILITY_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    INDEX_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_UPDATE_S_FIELD_NUMBER: _ClassVar[int]
    FEE_IN_B_ONLY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_ORDERS_FIELD_NUMBER: _ClassVar[int]
    base_factor: int
    base_fee_power: int
    filter_period_s: int
    decay_period_s: int
    reduction_factor_bps: int
    variable_fee_control: int
    max_volatility_accumulator: int
    protocol_share_bps: int
    volatility_accumulator: int
    volatility_reference: int
    index_reference: int
    last_update_s: int
    fee_in_b_only: bool
    limit_orders: bool
    def __init__(self, base_factor: _Optional[int] = ..., base_fee_power: _Optional[int] = ..., filter_period_s: _Optional[int] = ..., decay_period_s: _Optional[int] = ..., reduction_factor_bps: _Optional[int] = ..., variable_fee_control: _Optional[int] = ..., max_volatility_accumulator: _Optional[int] = ..., protocol_share_bps: _Optional[int] = ..., volatility_accumulator: _Optional[int] = ..., volatility_reference: _Optional[int] = ..., index_reference: _Optional[int] = ..., last_update_s: _Optional[int] = ..., fee_in_b_only: _Optional[bool] = ..., limit_orders: _Optional[bool] = ...) -> None: ...

class PoolUpdate(_message.Message):
    __slots__ = ("chain", "slot", "tx_index", "ix_index", "timestamp_us", "signature", "venue", "pool", "kind", "mint_a", "mint_b", "decimals_a", "decimals_b", "fee_pips", "tick_spacing", "reserve_a", "reserve_b", "sqrt_price_x64", "sqrt_price_x96", "liquidity", "tick", "tick_lower", "tick_upper", "liquidity_delta", "ticks", "known_tick_lower", "known_tick_upper", "known_range_set", "symbol_a", "symbol_b", "reanchored", "signer", "stable", "bins", "bin_fees", "fork")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[PoolUpdate.Kind]
        KIND_CREATE: _ClassVar[PoolUpdate.Kind]
        KIND_LIQUIDITY: _ClassVar[PoolUpdate.Kind]
        KIND_FEE: _ClassVar[PoolUpdate.Kind]
        KIND_SNAPSHOT: _ClassVar[PoolUpdate.Kind]
        KIND_REMOVE: _ClassVar[PoolUpdate.Kind]
        KIND_REORG: _ClassVar[PoolUpdate.Kind]
        KIND_SKIPPED: _ClassVar[PoolUpdate.Kind]
        KIND_LIQUIDATION: _ClassVar[PoolUpdate.Kind]
    KIND_UNSPECIFIED: PoolUpdate.Kind
    KIND_CREATE: PoolUpdate.Kind
    KIND_LIQUIDITY: PoolUpdate.Kind
    KIND_FEE: PoolUpdate.Kind
    KIND_SNAPSHOT: PoolUpdate.Kind
    KIND_REMOVE: PoolUpdate.Kind
    KIND_REORG: PoolUpdate.Kind
    KIND_SKIPPED: PoolUpdate.Kind
    KIND_LIQUIDATION: PoolUpdate.Kind
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    IX_INDEX_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MINT_A_FIELD_NUMBER: _ClassVar[int]
    MINT_B_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_A_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_B_FIELD_NUMBER: _ClassVar[int]
    FEE_PIPS_FIELD_NUMBER: _ClassVar[int]
    TICK_SPACING_FIELD_NUMBER: _ClassVar[int]
    RESERVE_A_FIELD_NUMBER: _ClassVar[int]
    RESERVE_B_FIELD_NUMBER: _ClassVar[int]
    SQRT_PRICE_X64_FIELD_NUMBER: _ClassVar[int]
    SQRT_PRICE_X96_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    TICK_LOWER_FIELD_NUMBER: _ClassVar[int]
    TICK_UPPER_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_DELTA_FIELD_NUMBER: _ClassVar[int]
    TICKS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_TICK_LOWER_FIELD_NUMBER: _ClassVar[int]
    KNOWN_TICK_UPPER_FIELD_NUMBER: _ClassVar[int]
    KNOWN_RANGE_SET_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_A_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_B_FIELD_NUMBER: _ClassVar[int]
    REANCHORED_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    BINS_FIELD_NUMBER: _ClassVar[int]
    BIN_FEES_FIELD_NUMBER: _ClassVar[int]
    FORK_FIELD_NUMBER: _ClassVar[int]
    chain: Chain
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int
    signature: bytes
    venue: Venue
    pool: bytes
    kind: PoolUpdate.Kind
    mint_a: bytes
    mint_b: bytes
    decimals_a: int
    decimals_b: int
    fee_pips: int
    tick_spacing: int
    reserve_a: bytes
    reserve_b: bytes
    sqrt_price_x64: bytes
    sqrt_price_x96: bytes
    liquidity: bytes
    tick: int
    tick_lower: int
    tick_upper: int
    liquidity_delta: bytes
    ticks: _containers.RepeatedCompositeFieldContainer[TickLiquidity]
    known_tick_lower: int
    known_tick_upper: int
    known_range_set: bool
    symbol_a: str
    symbol_b: str
    reanchored: bool
    signer: bytes
    stable: StableCurve
    bins: _containers.RepeatedCompositeFieldContainer[Bin]
    bin_fees: BinFees
    fork: int
    def __init__(self, chain: _Optional[_Union[Chain, str]] = ..., slot: _Optional[int] = ..., tx_index: _Optional[int] = ..., ix_index: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., signature: _Optional[bytes] = ..., venue: _Optional[_Union[Venue, str]] = ..., pool: _Optional[bytes] = ..., kind: _Optional[_Union[PoolUpdate.Kind, str]] = ..., mint_a: _Optional[bytes] = ..., mint_b: _Optional[bytes] = ..., decimals_a: _Optional[int] = ..., decimals_b: _Optional[int] = ..., fee_pips: _Optional[int] = ..., tick_spacing: _Optional[int] = ..., reserve_a: _Optional[bytes] = ..., reserve_b: _Optional[bytes] = ..., sqrt_price_x64: _Optional[bytes] = ..., sqrt_price_x96: _Optional[bytes] = ..., liquidity: _Optional[bytes] = ..., tick: _Optional[int] = ..., tick_lower: _Optional[int] = ..., tick_upper: _Optional[int] = ..., liquidity_delta: _Optional[bytes] = ..., ticks: _Optional[_Iterable[_Union[TickLiquidity, _Mapping]]] = ..., known_tick_lower: _Optional[int] = ..., known_tick_upper: _Optional[int] = ..., known_range_set: _Optional[bool] = ..., symbol_a: _Optional[str] = ..., symbol_b: _Optional[str] = ..., reanchored: _Optional[bool] = ..., signer: _Optional[bytes] = ..., stable: _Optional[_Union[StableCurve, _Mapping]] = ..., bins: _Optional[_Iterable[_Union[Bin, _Mapping]]] = ..., bin_fees: _Optional[_Union[BinFees, _Mapping]] = ..., fork: _Optional[int] = ...) -> None: ...

class PriceTick(_message.Message):
    __slots__ = ("chain", "slot", "timestamp_us", "mint", "numeraire", "price", "pool", "source", "tx_index", "ix_index")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    MINT_FIELD_NUMBER: _ClassVar[int]
    NUMERAIRE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    IX_INDEX_FIELD_NUMBER: _ClassVar[int]
    chain: Chain
    slot: int
    timestamp_us: int
    mint: bytes
    numeraire: bytes
    price: float
    pool: bytes
    source: str
    tx_index: int
    ix_index: int
    def __init__(self, chain: _Optional[_Union[Chain, str]] = ..., slot: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., mint: _Optional[bytes] = ..., numeraire: _Optional[bytes] = ..., price: _Optional[float] = ..., pool: _Optional[bytes] = ..., source: _Optional[str] = ..., tx_index: _Optional[int] = ..., ix_index: _Optional[int] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("chain", "slot", "tx_index", "timestamp_us", "signature", "kind", "signer", "swap_ix", "profit_mint", "start_amount", "end_amount", "profit", "group")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    SWAP_IX_FIELD_NUMBER: _ClassVar[int]
    PROFIT_MINT_FIELD_NUMBER: _ClassVar[int]
    START_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    END_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PROFIT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    chain: Chain
    slot: int
    tx_index: int
    timestamp_us: int
    signature: bytes
    kind: str
    signer: bytes
    swap_ix: _containers.RepeatedScalarFieldContainer[int]
    profit_mint: bytes
    start_amount: bytes
    end_amount: bytes
    profit: bytes
    group: str
    def __init__(self, chain: _Optional[_Union[Chain, str]] = ..., slot: _Optional[int] = ..., tx_index: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., signature: _Optional[bytes] = ..., kind: _Optional[str] = ..., signer: _Optional[bytes] = ..., swap_ix: _Optional[_Iterable[int]] = ..., profit_mint: _Optional[bytes] = ..., start_amount: _Optional[bytes] = ..., end_amount: _Optional[bytes] = ..., profit: _Optional[bytes] = ..., group: _Optional[str] = ...) -> None: ...
