"""What a swap in a managed pool pays at one block, and whether anybody may swap: its factory and fee module say.

aerodrome-finance/contracts, ``PoolFactory.sol``; velodrome-finance/slipstream, ``CLFactory.sol``,
``CustomSwapFeeModule.sol``, ``DynamicSwapFeeModule.sol``; Uniswap/v4-core, ``ProtocolFeeLibrary.sol``;
balancer/balancer-v2-monorepo, ``TemporarilyPausable.sol``. A fee that moves
with the price, with the first swap of a block, or with the direction is no number that a row can tell: such a pool is
closed. So is a Curve pool while its amplification moves with time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mevflow.operators.parse.evm.pools import CURVE, MANAGED_FEE, SLIPSTREAM, STABLE, V4, WEIGHTED, EvmPool
from mevflow.sources.evm.contracts import ContractCall, address, number, read
from mevflow.sources.evm.rpc import RpcNode
from mevflow.sources.evm.singleton import fee_of, slot0_call

#: Pools whose contracts say what a swap pays at a block, and whether they can be told.
_JUDGED = (*MANAGED_FEE, CURVE, WEIGHTED)
#: Fees of pools with two reserves are in basis points.
_BPS, _PIPS, _PIPS_PER_BPS = 10_000, 1_000_000, 100
_CURVE_FEE_PER_PIP, _WEIGHTED_FEE_PER_PIP = 10_000, 10**12
#: ``DynamicSwapFeeModule.ZERO_FEE_INDICATOR``: a base fee of nothing, to which nothing is added.
_NO_FEE = 420


@dataclass(frozen=True, slots=True)
class JudgedPool:
    """A pool with the fee (and the fee module) that it has at a block; ``closed`` says why nobody trades there."""

    pool: EvmPool
    closed: str = ""


def judge(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> list[JudgedPool]:
    """Each pool as it is at the block with that hash."""
    asked = [pool for pool in pools if pool.venue in _JUDGED]
    slipstream = _with_modules(node, [pool for pool in asked if pool.venue == SLIPSTREAM], block)
    managed = [slipstream.get(pool.address, pool) for pool in asked]
    questions = {pool.address: _questions(pool) for pool in managed}
    said = iter(read(node, [call for calls in questions.values() for call in calls], block))
    answers = {pool: [next(said) for _ in calls] for pool, calls in questions.items()}
    found = []
    for pool in pools:
        if pool.venue not in _JUDGED:
            found.append(JudgedPool(pool))
        elif pool.venue == SLIPSTREAM:
            found.append(_slipstream(slipstream[pool.address], answers[pool.address]))
        elif pool.venue == V4:
            found.append(_v4(pool, number(answers[pool.address][0])))
        elif pool.venue == CURVE:
            found.append(_curve(pool, answers[pool.address]))
        elif pool.venue == WEIGHTED:
            found.append(_weighted(pool, answers[pool.address]))
        else:
            found.append(_two_reserves(pool, answers[pool.address]))
    return found


def fee_modules(node: RpcNode, factories: Iterable[bytes], block: bytes) -> dict[bytes, bytes]:
    """The fee module that each of Slipstream's factories names; empty where it has none."""
    makers = sorted(set(factories))
    said = read(node, [ContractCall(one, "swapFeeModule()") for one in makers], block)
    modules = {one: address(answer) or b"" for one, answer in zip(makers, said, strict=True)}
    return {one: module if any(module) else b"" for one, module in modules.items()}


def _with_modules(node: RpcNode, pools: Sequence[EvmPool], block: bytes) -> dict[bytes, EvmPool]:
    modules = fee_modules(node, (pool.factory for pool in pools), block)
    return {pool.address: replace(pool, fee_module=modules[pool.factory]) for pool in pools}


def _questions(pool: EvmPool) -> list[ContractCall]:
    if pool.venue == V4:
        return [slot0_call(pool)]
    if pool.venue == CURVE:
        return [ContractCall(pool.address, function) for function in ("fee()", "A_precise()", "A()", "future_A()")]
    if pool.venue == WEIGHTED:
        pausing = [ContractCall(one, "getPausedState()") for one in (pool.factory, pool.fee_module)]
        return [ContractCall(pool.fee_module, "getSwapFeePercentage()"), *pausing]
    own = int.from_bytes(pool.address, "big")
    if pool.venue != SLIPSTREAM:
        return [
            ContractCall(pool.factory, "isPaused()"),
            ContractCall(pool.factory, "getFee(address,bool)", (own, int(pool.venue == STABLE))),
        ]
    calls = [ContractCall(pool.address, "fee()")]
    if pool.fee_module:
        calls += [
            ContractCall(pool.fee_module, "customFee(address)", (own,)),
            ContractCall(pool.fee_module, "defaultScalingFactor()"),
            ContractCall(pool.fee_module, "dynamicFeeConfig(address)", (own,)),
        ]
    return calls


def _two_reserves(pool: EvmPool, said: Sequence[bytes | None]) -> JudgedPool:
    paused, fee = (number(one) for one in said)
    if fee is None or fee >= _BPS:
        return JudgedPool(pool, "its factory does not say its fee")
    return JudgedPool(replace(pool, fee_pips=fee * _PIPS_PER_BPS), "its factory has paused all swaps" if paused else "")


def _v4(pool: EvmPool, word: int | None) -> JudgedPool:
    """The fee that is told has the protocol's in it; the table keeps the pool's own."""
    if word is None:
        return JudgedPool(pool, "its manager does not say its fee")
    fee = fee_of(word)
    return (
        JudgedPool(pool, "the protocol's fee depends on the direction")
        if fee is None
        else JudgedPool(replace(pool, fee_pips=fee))
    )


def _curve(pool: EvmPool, said: Sequence[bytes | None]) -> JudgedPool:
    """Its fee is in units of 1e-10 and stands in its curve; rows tell it in millionths, for people."""
    fee, precise, plain, future = (number(one) for one in said)
    if fee is None or fee >= _PIPS * _CURVE_FEE_PER_PIP:
        return JudgedPool(pool, "it does not say its fee")
    if future is None or future != (plain if precise is None else precise):
        return JudgedPool(pool, "its amplification moves without an event")
    return JudgedPool(replace(pool, fee_pips=fee // _CURVE_FEE_PER_PIP))


def _weighted(pool: EvmPool, said: Sequence[bytes | None]) -> JudgedPool:
    """Its fee is a share of 1e18 and stands in its curve; rows tell it in millionths, for people."""
    fee, *paused = (number(one) for one in said)
    if fee is None or fee >= _PIPS * _WEIGHTED_FEE_PER_PIP:
        return JudgedPool(pool, "it does not say its fee")
    if paused != [0, 0]:
        return JudgedPool(pool, "it is paused, or the vault is")
    return JudgedPool(replace(pool, fee_pips=fee // _WEIGHTED_FEE_PER_PIP))


def _slipstream(pool: EvmPool, said: Sequence[bytes | None]) -> JudgedPool:
    fee = number(said[0])
    if fee is None or fee >= _PIPS:
        return JudgedPool(pool, "it does not say its fee")
    if pool.fee_module and not _fixed(*said[1:]):
        return JudgedPool(pool, "its fee moves without an event")
    return JudgedPool(replace(pool, fee_pips=fee))


def _fixed(custom: bytes | None, factor: bytes | None, config: bytes | None) -> bool:
    """Whether a module's fee stays what it is until an event: one that is not known may say anything."""
    own = number(custom)
    if own is None:
        return False
    scaling = number(factor)
    if scaling is None:
        return True  # each pool has one fee, or its tick spacing's
    if own == _NO_FEE:
        return True
    pools_own, opens = number(config, 2), number(config, 3)  # deployed without a first swap's fee: three words
    return pools_own is not None and not (pools_own or scaling) and not opens
