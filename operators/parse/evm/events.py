"""The events of pools and factories, by their first topic.

Sources: Uniswap v2-core, v3-core; PancakeSwap v3-core; aerodrome-finance/contracts, ``IPool.sol``,
``IPoolFactory.sol``; velodrome-finance/slipstream, ``ICLFactory.sol``, ``IDynamicFeeModule.sol``;
Uniswap/v4-core, ``IPoolManager.sol``, ``IProtocolFees.sol``; curvefi/curve-contract, ``StableSwap3Pool.vy``;
curvefi/curve-factory, ``Plain{2,3,4}Basic.vy``; curvefi/stableswap-ng, ``CurveStableSwapNG.vy``;
balancer/balancer-v2-monorepo, ``IVault.sol``, ``BasePool.sol``, ``TemporarilyPausable.sol``.
"""

from __future__ import annotations

import numpy as np
from Crypto.Hash import keccak
from numpy.typing import NDArray


def topic_of(signature: str) -> bytes:
    """The first topic of an event: Keccak-256 of its signature.

    >>> topic_of("Sync(uint112,uint112)").hex()
    '1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1'
    """
    return keccak.new(digest_bits=256, data=signature.encode()).digest()


V2_SYNC = topic_of("Sync(uint112,uint112)")
V2_SWAP = topic_of("Swap(address,uint256,uint256,uint256,uint256,address)")
#: Aerodrome's and Velodrome's pools, of which the fee that a swap paid is an event of its own.
VOLATILE_SYNC = topic_of("Sync(uint256,uint256)")
VOLATILE_SWAP = topic_of("Swap(address,address,uint256,uint256,uint256,uint256)")
VOLATILE_FEES = topic_of("Fees(address,uint256,uint256)")
V3_INITIALIZE = topic_of("Initialize(uint160,int24)")
V3_SWAP = topic_of("Swap(address,address,int256,int256,uint160,uint128,int24)")
#: PancakeSwap v3 adds the protocol's fees of both tokens.
V3_SWAP_PANCAKE = topic_of("Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)")
V3_MINT = topic_of("Mint(address,address,int24,int24,uint128,uint256,uint256)")
V3_BURN = topic_of("Burn(address,int24,int24,uint128,uint256,uint256)")
#: Events of a v3 pool after which nothing that a swap depends on has changed.
V3_OTHERS = tuple(
    topic_of(signature)
    for signature in (
        "Collect(address,address,int24,int24,uint128,uint128)",
        "CollectProtocol(address,address,uint128,uint128)",
        "Flash(address,address,uint256,uint256,uint256,uint256)",
        "IncreaseObservationCardinalityNext(uint16,uint16)",
        "SetFeeProtocol(uint8,uint8,uint8,uint8)",
    )
)
#: What the factory of Aerodrome's and Velodrome's pools says of pools that it made.
SET_CUSTOM_FEE = topic_of("SetCustomFee(address,uint256)")
SET_PAUSE_STATE = topic_of("SetPauseState(bool)")
#: What Slipstream's factory and fee modules say of all their pools, and of the one that the second topic names.
SLIPSTREAM_ALL = tuple(
    topic_of(signature)
    for signature in (
        "SwapFeeModuleChanged(address,address)",
        "DefaultScalingFactorSet(uint256)",
        "DefaultFeeCapSet(uint256)",
    )
)
SLIPSTREAM_ONE = tuple(
    topic_of(signature)
    for signature in (
        "CustomFeeSet(address,uint24)",
        "ScalingFactorSet(address,uint256)",
        "FeeCapSet(address,uint256)",
        "DynamicFeeReset(address)",
        "InitialFeeSet(address,uint24)",
        "InitialFeeDisabled(address)",
    )
)
#: Uniswap v4: one contract for all pools, which the second topic names.
V4_INITIALIZE = topic_of("Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)")
V4_SWAP = topic_of("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
V4_LIQUIDITY = topic_of("ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)")
V4_PROTOCOL_FEE = topic_of("ProtocolFeeUpdated(bytes32,uint24)")
#: Curve's stable-swap pools. Lists of amounts are as long as a pool has coins, or (NG) of any length.
CURVE_EXCHANGE = topic_of("TokenExchange(address,int128,uint256,int128,uint256)")
_AMOUNTS = ("uint256[2]", "uint256[3]", "uint256[4]", "uint256[]")
#: After which only a pool's contract says what it holds, or by which curve and fee it trades.
CURVE_CHANGES = tuple(
    topic_of(signature)
    for signature in (
        *(f"AddLiquidity(address,{one},{one},uint256,uint256)" for one in _AMOUNTS),
        *(f"RemoveLiquidity(address,{one},{one},uint256)" for one in _AMOUNTS),
        *(f"RemoveLiquidityImbalance(address,{one},{one},uint256,uint256)" for one in _AMOUNTS),
        "RemoveLiquidityOne(address,uint256,uint256)",
        "RemoveLiquidityOne(address,uint256,uint256,uint256)",
        "RemoveLiquidityOne(address,int128,uint256,uint256,uint256)",
        "RampA(uint256,uint256,uint256,uint256)",
        "StopRampA(uint256,uint256)",
        "NewFee(uint256,uint256)",
        "ApplyNewFee(uint256)",
        "ApplyNewFee(uint256,uint256)",
    )
)
#: Balancer v2: what the vault says of the pool that the second topic names: a swap, and what else moves its balances.
VAULT_SWAP = topic_of("Swap(bytes32,address,address,uint256,uint256)")
VAULT_CHANGES = (
    topic_of("PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])"),
    topic_of("PoolBalanceManaged(bytes32,address,address,int256,int256)"),
)
#: What a weighted pool says of itself, and the vault of all.
VAULT_POOL = (topic_of("SwapFeePercentageChanged(uint256)"), topic_of("PausedStateChanged(bool)"))
#: Lending markets: Aave v2 and v3, Compound v2 and v3 (Comet), Morpho Blue.
LENDING_EVENTS = (
    topic_of("LiquidationCall(address,address,address,uint256,uint256,address,bool)"),
    topic_of("LiquidateBorrow(address,address,uint256,address,uint256)"),
    topic_of("AbsorbCollateral(address,address,address,uint256,uint256)"),
    topic_of("Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)"),
)
V2_PAIR_CREATED = topic_of("PairCreated(address,address,address,uint256)")
V3_POOL_CREATED = topic_of("PoolCreated(address,address,uint24,int24,address)")

PAIR_EVENTS = (V2_SYNC, V2_SWAP)
VOLATILE_EVENTS = (VOLATILE_SYNC, VOLATILE_SWAP, VOLATILE_FEES)
CONCENTRATED_EVENTS = (V3_INITIALIZE, V3_SWAP, V3_SWAP_PANCAKE, V3_MINT, V3_BURN)
SINGLETON_EVENTS = (V4_INITIALIZE, V4_SWAP, V4_LIQUIDITY, V4_PROTOCOL_FEE)
CURVE_EVENTS = (CURVE_EXCHANGE, *CURVE_CHANGES)
VAULT_EVENTS = (VAULT_SWAP, *VAULT_CHANGES)
CREATIONS = (V2_PAIR_CREATED, V3_POOL_CREATED)
#: Of contracts that manage pools.
MANAGER_EVENTS = (SET_CUSTOM_FEE, SET_PAUSE_STATE, *SLIPSTREAM_ALL, *SLIPSTREAM_ONE, *VAULT_POOL)
#: Of contracts that are a pool each.
POOL_EVENTS = (*PAIR_EVENTS, *VOLATILE_EVENTS, *CONCENTRATED_EVENTS)


def which(topics: NDArray[np.uint8], known: tuple[bytes, ...]) -> NDArray[np.int64]:
    """The place of each (rows, 32) topic in ``known``, -1 for another."""
    found = np.full(len(topics), -1, np.int64)
    words = np.ascontiguousarray(topics).view("<u8")
    for number, one in enumerate(known):
        found[(words == np.frombuffer(one, "<u8")).all(axis=1)] = number
    return found
