"""Contracts that answer what they are told to and log what a transaction tells them to, put on a chain as code.

For venues whose own contracts no package has: what is tried is how they are found, read and parsed, on a real node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from Crypto.Hash import keccak

from mevflow.operators.parse.evm.events import VOLATILE_FEES, VOLATILE_SWAP, VOLATILE_SYNC
from tests.evm.chain import Chain

#: ``act``'s arguments: both reserves after the swap, both fees, both inputs, both outputs.
ACT = "act(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256)"


#: ``keep``'s arguments: a slot of storage and what it holds from then on.
KEEP = "keep(uint256,uint256)"
#: ``say``'s arguments: the two topics and the word of data of what it logs.
SAY = "say(uint256,uint256,uint256)"


def _push(value: int, width: int) -> bytes:
    return bytes([0x5F + width]) + value.to_bytes(width, "big")


@dataclass(frozen=True)
class Slot:
    """A word of an answer that stands in storage; ``counted``: so many slots on as that word of the arguments says."""

    number: int
    counted: int | None = None


def _answer(*values: int | Slot) -> bytes:
    """MSTORE each value, RETURN them all."""
    kept = b"".join(_word(value) + _push(32 * i, 2) + b"\x52" for i, value in enumerate(values))
    return kept + _push(32 * len(values), 2) + bytes.fromhex("6000f3")


def _word(value: int | Slot) -> bytes:
    """Push a word: PUSH, and of what is stored SLOAD, of counted slots after CALLDATALOAD and ADD."""
    if not isinstance(value, Slot):
        return _push(value % (1 << 256), 32)
    counted = b"" if value.counted is None else _push(4 + 32 * value.counted, 2) + b"\x35\x01"
    return _push(value.number, 2) + counted + b"\x54"


#: SLOAD both reserves into three words, RETURN(0, 96).
_RESERVES = bytes.fromhex("600054600052" + "600154602052" + "6000604052" + "60606000f3")


def _logged(topics: int) -> bytes:
    """Copy what follows the topics to memory, LOG it."""
    begin = _push(4 + 32 * topics, 1)
    size = b"\x36" + begin + b"\x90\x03"  # CALLDATASIZE - begin
    copy = b"\x80" + begin + bytes.fromhex("600037")
    named = b"".join(_push(4 + 32 * i, 1) + b"\x35" for i in reversed(range(topics)))
    return size + copy + named + bytes([0x80 + topics]) + bytes.fromhex("6000") + bytes([0xA0 + topics]) + b"\x00"


def _stored(slot: int) -> bytes:
    """SLOAD a slot, RETURN it."""
    return _push(slot, 1) + bytes.fromhex("54600052" + "60206000f3")


def _stored_from(slot: int) -> bytes:
    """SLOAD the slot that the first argument is counted from ``slot``, RETURN it."""
    return bytes.fromhex("600435") + _push(slot, 1) + bytes.fromhex("0154600052" + "60206000f3")


def _log(begin: int, size: int, *topics: bytes) -> bytes:
    return (b"".join(b"\x7f" + topic for topic in reversed(topics)) + _push(size, 1) + _push(begin, 1)) + bytes(
        [0xA0 + len(topics)]
    )


#: Logs the words given: 2, 3 or 4 topics, then data.
LOG2, LOG3, LOG4 = "log2(uint256)", "log3(uint256)", "log4(uint256)"
#: ``extsload``: a word of its storage.
LOAD = "extsload(bytes32)"
_LOAD = bytes.fromhex("60043554" + "600052" + "60206000f3")
_KEEP = bytes.fromhex("602435" + "600435" + "55" + "00")
#: LOG2 of the third argument with the first two as topics.
_SAY = bytes.fromhex("604435600052" + "602435" + "600435" + "6020" + "6000" + "a2" + "00")


def _act() -> bytes:
    """Store the reserves, then log Fees (where there are any), Sync and Swap, as ``Pool.swap`` of Aerodrome does."""
    somebody = bytes(31) + b"\x07"
    store = bytes.fromhex("610100" + "6004" + "6000" + "37" + "600051600055" + "602051600155")
    fees = _log(64, 64, VOLATILE_FEES, somebody)
    # Jump over the log where both fees are zero; JUMP counts from PC, which stands before it.
    skip = bytes.fromhex("604051606051171558") + _push(5 + len(fees), 1) + bytes.fromhex("0157")
    rest = _log(0, 64, VOLATILE_SYNC) + _log(128, 128, VOLATILE_SWAP, somebody, somebody) + b"\x00"
    return store + skip + fees + b"\x5b" + rest


def code(
    answers: Mapping[str, int | tuple[int | Slot, ...]],
    pool: bool = False,
    kept: Mapping[str, int] | None = None,
    kept_from: Mapping[str, int] | None = None,
) -> bytes:
    """A contract with one constant or several for each function, ``say`` and ``keep``.

    ``kept``: the slots that functions answer from; ``kept_from``: those from which their first argument counts.
    Of a ``pool`` also its reserves and ``act``.
    """
    bodies = {
        function: _answer(*(value if isinstance(value, tuple) else (value,))) for function, value in answers.items()
    }
    bodies |= {SAY: _SAY, KEEP: _KEEP, LOAD: _LOAD, LOG2: _logged(2), LOG3: _logged(3), LOG4: _logged(4)}
    bodies |= {function: _stored(slot) for function, slot in (kept or {}).items()}
    bodies |= {function: _stored_from(slot) for function, slot in (kept_from or {}).items()}
    if pool:
        bodies |= {"getReserves()": _RESERVES, ACT: _act()}
    table, at, parts = b"", 6 + 11 * len(bodies) + 4, b""
    for function, body in bodies.items():
        selector = keccak.new(digest_bits=256, data=function.encode()).digest()[:4]
        table += b"\x80\x63" + selector + b"\x14" + _push(at + len(parts), 2) + b"\x57"
        parts += b"\x5b" + body
    return bytes.fromhex("60003560e01c") + table + bytes.fromhex("600080fd") + parts


def put(chain: Chain, address: bytes, contract: bytes) -> None:
    """Give an address code."""
    chain.ask("anvil_setCode", "0x" + address.hex(), "0x" + contract.hex())
