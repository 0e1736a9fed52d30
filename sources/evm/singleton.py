"""Uniswap v4's pool manager: what its storage holds of a pool, and which pools there are.

Uniswap/v4-core ``StateLibrary.sol``, ``Slot0.sol``, ``PoolId.sol``; v4-periphery ``PositionManager.sol``. A pool's id
is the hash of its key, so whoever tells a key proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from Crypto.Hash import keccak

from mevflow.operators.amm.concentrated.uniswap_v4 import swap_fee
from mevflow.operators.parse.evm.logs import Logs
from mevflow.operators.parse.evm.pools import V4, EvmPool
from mevflow.sources.evm.contracts import ContractCall, read
from mevflow.sources.evm.factories import Factory, FoundPools
from mevflow.sources.evm.rpc import RpcNode

_POOLS_SLOT, _LIQUIDITY, _TICKS, _BITMAP = 6, 3, 4, 5
_WORD = 1 << 256
_MOST_SPACING = 1 << 15
#: ``LPFeeLibrary.DYNAMIC_FEE_FLAG``: a hook says the fee.
_DYNAMIC = 0x800000
_KEY_WORDS = 5


def slot0_call(pool: EvmPool) -> ContractCall:
    """Asks for price, tick and fees in one word: see :func:`slot0`."""
    return _load(pool, _state(pool))


def slot0(word: int) -> tuple[int, int, int, int]:
    """(price in Q64.96, tick, the protocol's fees, the pool's fee in hundredths of a basis point)."""
    tick = word >> 160 & 0xFFFFFF
    return word & (1 << 160) - 1, tick - (tick >> 23 << 24), word >> 184 & 0xFFFFFF, word >> 208 & 0xFFFFFF


def liquidity_call(pool: EvmPool) -> ContractCall:
    """Asks for the active liquidity."""
    return _load(pool, _state(pool) + _LIQUIDITY)


def bitmap_call(pool: EvmPool, word: int) -> ContractCall:
    """Asks for a word of the tick bitmap."""
    return _load(pool, _mapped(word, _state(pool) + _BITMAP))


def tick_call(pool: EvmPool, tick: int) -> ContractCall:
    """Asks for a tick's gross (low 128 bits) and net liquidity."""
    return _load(pool, _mapped(tick, _state(pool) + _TICKS))


def fee_of(word: int) -> int | None:
    """What a swap pays, the protocol's fee included; None where the direction decides."""
    _, _, protocol, own = slot0(word)
    return swap_fee(own, protocol & 0xFFF) if protocol & 0xFFF == protocol >> 12 else None


def made_here(logs: Logs, rows: Iterable[int]) -> dict[bytes, bytes]:
    """The keys (five words) that ``Initialize`` logs tell, by id."""
    keys = {}
    for row in rows:
        if logs.topic_count[row] == 4 and logs.data_size[row] == 32 * _KEY_WORDS:
            told = logs.data[logs.data_at[row] :][: 3 * 32].tobytes()
            keys[logs.topics[row, 1].tobytes()] = logs.topics[row, 2:4].tobytes() + told
    return keys


def find(node: RpcNode, manager: Factory, ids: Sequence[bytes], keys: dict[bytes, bytes], block: bytes) -> FoundPools:
    """Which of ``ids`` are pools without hooks and with a fee of their own; ``keys`` are those that are known."""
    positions = bytes.fromhex(manager.positions[2:]) if manager.positions else b""
    asked = [one for one in ids if one not in keys] if positions else []
    calls = [
        ContractCall(positions, "poolKeys(bytes25)", (int.from_bytes(one[:25].ljust(32, b"\0")),)) for one in asked
    ]
    told = {one: key for one, key in zip(asked, read(node, calls, block), strict=True) if key is not None}
    pools, closed = [], {}
    for one in ids:
        found = _pool(manager.key, one, keys.get(one) or told.get(one) or b"")
        if isinstance(found, EvmPool):
            pools.append(found)
        else:
            closed[one] = found
    return FoundPools(tuple(pools), closed)


def _pool(manager: bytes, one: bytes, key: bytes) -> EvmPool | str:
    if len(key) != 32 * _KEY_WORDS or _hash(key) != one:
        return "nobody tells its key"
    first, second, fee, spacing, hooks = (int.from_bytes(key[at : at + 32]) for at in range(0, len(key), 32))
    if hooks:
        return "it has hooks"
    if fee & _DYNAMIC or fee >= 1_000_000 or not 0 < spacing < _MOST_SPACING:
        return "its fee is not its own"
    tokens = first.to_bytes(20), second.to_bytes(20)
    return EvmPool(one, V4, *tokens, fee_pips=fee, tick_spacing=spacing, factory=manager)


def _load(pool: EvmPool, slot: int) -> ContractCall:
    return ContractCall(pool.factory, "extsload(bytes32)", (slot % _WORD,))


def _state(pool: EvmPool) -> int:
    return int.from_bytes(_hash(pool.address + _POOLS_SLOT.to_bytes(32)))


def _mapped(key: int, slot: int) -> int:
    return int.from_bytes(_hash((key % _WORD).to_bytes(32) + (slot % _WORD).to_bytes(32)))


def _hash(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()
