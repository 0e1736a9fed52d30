"""Meteora's DLMM program beside ``operators/amm``: random swaps on a recorded pair, everything compared.

The pair and its bin arrays are recorded; the oracle account, which no quote looks at, is an empty one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

from solders.pubkey import Pubkey

from mevflow.operators.accounts import dlmm as accounts
from mevflow.operators.accounts.states import dlmm_state
from mevflow.operators.amm.bins import dlmm
from mevflow.operators.amm.bins.dlmm import DlmmQuote, DlmmState
from mevflow.operators.amm.concentrated.curve import AmmError
from tests.operators.amm.recorded import SHARED
from tests.truth.solana.bank import MEMO, TOKEN, Bank, Call, discriminator
from tests.truth.solana.figures import ProgramFigures
from tests.truth.solana.programs import Program

RECORDED = SHARED / "amm_vectors" / "meteora_dlmm_reference.json"
MOST = 2**64 - 1
#: How many bin arrays a swap names, from the active bin's on.
ARRAYS_PER_SWAP = 4
#: Where a pair's account has the address of its oracle, and the protocol's fees of X and Y.
_ORACLE, _OWED = 552, 216
_OBSERVATIONS = 100


@dataclass(frozen=True)
class PairSwap:
    """What is asked of a pair, by the first (1) or second (2) version of the instruction."""

    a_to_b: bool
    exact_in: bool
    amount: int
    version: int

    def data(self) -> bytes:
        """The instruction's data, content with any output, or any input."""
        name = ("swap" if self.exact_in else "swap_exact_out") + ("2" if self.version == 2 else "")
        first, second = (self.amount, 0) if self.exact_in else (MOST, self.amount)
        tail = b"" if self.version == 1 else bytes(4)
        return discriminator(name) + first.to_bytes(8, "little") + second.to_bytes(8, "little") + tail


@dataclass(frozen=True)
class RecordedPair:
    """A pair's account and its bin arrays by their index."""

    address: Pubkey
    data: bytes
    arrays: dict[int, tuple[Pubkey, bytes]]
    recorded_s: int


def varied(recorded: RecordedPair, chance: random.Random) -> RecordedPair:
    """The pair with other fees, fees in Y only, or limit orders in the bins around its price."""
    pair = bytearray(recorded.data)
    pair[8:10] = chance.choice((1, 2_500, 10_000, 50_000)).to_bytes(2, "little")  # base factor
    pair[14:16] = chance.choice((0, 2_500, 9_000)).to_bytes(2, "little")  # reduction factor
    pair[16:20] = chance.choice((0, 40_000, 2_000_000)).to_bytes(4, "little")  # variable fee control
    pair[32:34] = chance.choice((0, 500, 2_500)).to_bytes(2, "little")  # protocol share
    pair[35] = orders = chance.choice((0, 1, 2))  # function: undetermined, rewards, limit orders
    pair[36] = chance.choice((0, 1))  # fees of the input, or in Y only
    if orders == 1:
        return RecordedPair(recorded.address, bytes(pair), recorded.arrays, recorded.recorded_s)
    active = accounts.decode_pair(recorded.data).active_id
    arrays = {index: (address, bytearray(data)) for index, (address, data) in recorded.arrays.items()}
    for bin_id in range(active - 60, active + 28):
        if chance.random() < 0.5:
            is_ask = bin_id > active or (bin_id == active and chance.random() < 0.5)
            at = 56 + 144 * (bin_id % accounts.BINS_PER_ARRAY)
            left, processing = int(10 ** chance.uniform(0, 9)), int(10 ** chance.uniform(0, 9))
            data = arrays[bin_id // accounts.BINS_PER_ARRAY][1]
            for side in (at, at + 8):  # makers' amounts, some of them as good as none
                makers = int.from_bytes(data[side : side + 8], "little") // chance.choice((1, 10**3, 10**9))
                data[side : side + 8] = makers.to_bytes(8, "little")
            data[at + 112 : at + 120] = int(10 ** chance.uniform(0, 9)).to_bytes(8, "little")
            data[at + 120 : at + 128] = (left + processing).to_bytes(8, "little")
            data[at + 128 : at + 136] = left.to_bytes(8, "little")
            data[at + 140] = is_ask
    frozen = {index: (address, bytes(data)) for index, (address, data) in arrays.items()}
    return RecordedPair(recorded.address, bytes(pair), frozen, recorded.recorded_s)


def recorded_pair(path: Path = RECORDED) -> RecordedPair:
    """The pair of the file."""
    document = json.loads(path.read_text())
    arrays = {}
    for account in document["binArraysB64"]:
        data = base64.b64decode(account["data"])
        arrays[accounts.decode_bin_array(data).index] = (Pubkey.from_string(account["pubkey"]), data)
    pair = base64.b64decode(document["lbPairB64"])
    return RecordedPair(Pubkey.from_string(document["pool"]), pair, arrays, int(document["clockTs"]))


class DlmmPair:
    """A pair in a bank, and what the product thinks of it."""

    def __init__(self, bank: Bank, program: Pubkey, recorded: RecordedPair) -> None:
        self.bank, self.program, self.recorded = bank, program, recorded
        bank.place(recorded.address, program, recorded.data)
        for address, data in recorded.arrays.values():
            bank.place(address, program, data)
        pair = accounts.decode_pair(recorded.data)
        self.mints = Pubkey(pair.mint_a), Pubkey(pair.mint_b)
        self.vaults = Pubkey(pair.vault_a), Pubkey(pair.vault_b)
        self.wallets = tuple(Pubkey.find_program_address([b"held", bytes(mint)], TOKEN)[0] for mint in self.mints)
        for mint in self.mints:
            bank.mint(mint)
        self.oracle = Pubkey(recorded.data[_ORACLE : _ORACLE + 32])
        head = hashlib.sha256(b"account:Oracle").digest()[:8]
        counts = (0, 0, _OBSERVATIONS)
        empty = bytes(32 * _OBSERVATIONS)
        bank.place(self.oracle, program, head + b"".join(n.to_bytes(8, "little") for n in counts) + empty)

    def named(self, a_to_b: bool) -> list[int]:
        """The bin arrays that a swap names, nearest first."""
        here = accounts.decode_pair(self.bank.data(self.recorded.address)).active_id // accounts.BINS_PER_ARRAY
        ahead = [index for index in self.recorded.arrays if (index <= here if a_to_b else index >= here)]
        return sorted(ahead, reverse=a_to_b)[:ARRAYS_PER_SWAP]

    def state(self, indices: list[int]) -> DlmmState:
        """The state as the accounts in the bank are, with these bin arrays alone."""
        arrays = [accounts.decode_bin_array(self.bank.data(self.recorded.arrays[index][0])) for index in indices]
        return dlmm_state(accounts.decode_pair(self.bank.data(self.recorded.address)), arrays)

    def owed(self) -> int:
        """The protocol's fees so far, of both tokens."""
        data = self.bank.data(self.recorded.address)
        return sum(int.from_bytes(data[at : at + 8], "little") for at in (_OWED, _OWED + 8))

    def call(self, swap: PairSwap, indices: list[int]) -> Call:
        """The instruction with these bin arrays."""
        given, got = (0, 1) if swap.a_to_b else (1, 0)
        events = Pubkey.find_program_address([b"__event_authority"], self.program)[0]
        # The program's own address stands for an account that is left out: the bitmap's extension, the host's fee.
        listed = [
            (self.recorded.address, True),
            (self.program, False),
            (self.vaults[0], True),
            (self.vaults[1], True),
            (self.wallets[given], True),
            (self.wallets[got], True),
            (self.mints[0], False),
            (self.mints[1], False),
            (self.oracle, True),
            (self.program, False),
            (self.bank.owner, False),
            (TOKEN, False),
            (TOKEN, False),
            *([(MEMO, False)] if swap.version == 2 else []),
            (events, False),
            (self.program, False),
            *((self.recorded.arrays[index][0], True) for index in indices),
        ]
        return Call(self.program, swap.data(), listed)

    def execute(self, swap: PairSwap, indices: list[int]) -> str | tuple[int, int]:
        """Swap by the program: what it took and gave, or why it refused."""
        for side, mint in enumerate(self.mints):
            is_input = (side == 0) == swap.a_to_b
            self.bank.hold(self.wallets[side], mint, self.bank.owner, MOST if is_input else 0)
            self.bank.hold(self.vaults[side], mint, self.recorded.address, 0 if is_input else MOST)
        if (refused := self.bank.execute(self.call(swap, indices))) is not None:
            return refused
        given, got = (0, 1) if swap.a_to_b else (1, 0)
        return self.bank.balance(self.vaults[given]), self.bank.balance(self.wallets[got])

    def compare(self, swap: PairSwap, now_s: int, figures: ProgramFigures) -> None:
        """Swap by both, and compare what moved, the fee, and every bin after it."""
        indices = self.named(swap.a_to_b)
        before, owed = self.state(indices), self.owed()
        quote = _quote(before, swap, now_s)
        done = self.execute(swap, indices)
        if isinstance(done, str):
            if quote is None:
                figures.refuse(done)
            else:
                figures.different.append(f"{swap}: refused ({done}), quoted {quote}")
            return
        figures.executed += 1
        if quote is None:
            figures.different.append(f"{swap}: moved {done}, thought refused")
            return
        after, thought = self.state(indices), quote.applied_to(before)
        if (*done, self.owed() - owed) != (quote.amount_in, quote.amount_out, quote.protocol_fee):
            figures.different.append(f"{swap}: moved {done}, owed {self.owed() - owed}, thought {quote}")
        if (after.active_id, after.volatility) != (thought.active_id, thought.volatility):
            figures.different.append(
                f"{swap}: at {after.active_id}, {after.volatility}, thought {thought.active_id}, {thought.volatility}"
            )
        for bin_id in sorted(after.bins.keys() | thought.bins.keys()):
            said, held = after.bins.get(bin_id), thought.bins.get(bin_id)
            if said != held and any(one is not None and _holds(one) for one in (said, held)):
                figures.different.append(f"{swap}: bin {bin_id} is {said}, thought {held}")


def _holds(found: dlmm.Bin) -> bool:
    return bool(found.amount_a or found.amount_b or found.open_order or found.processed_order)


def _quote(state: DlmmState, swap: PairSwap, now_s: int) -> DlmmQuote | None:
    """What the product says of a swap, None if it would be refused."""
    ask = dlmm.quote_exact_in if swap.exact_in else dlmm.quote_exact_out
    try:
        quote = ask(state, swap.a_to_b, swap.amount, now_s)
    except AmmError:
        return None
    return quote if quote.filled else None


def swap_pairs(program: Program, swaps: int, seed: int, each: int = 60) -> ProgramFigures:
    """So many random swaps, one after another. The pair begins anew every ``each`` swaps, every other time varied."""
    chance, bank, figures = random.Random(seed), Bank(), ProgramFigures()
    bank.add_program(program.address, program.path)
    recorded = recorded_pair()
    now_s = recorded.recorded_s
    for number in range(swaps):
        if number % each == 0:
            begin = varied(recorded, chance) if number // each % 2 else recorded
            pair, now_s = DlmmPair(bank, program.address, begin), recorded.recorded_s
        now_s += chance.choice((0, 1, 5, 15, 90, 200))
        bank.set_time(now_s, 400_000_000 + number)
        amount = int(10 ** chance.uniform(0, 12))
        swap = PairSwap(chance.random() < 0.5, chance.random() < 0.6, amount, chance.choice((1, 2)))
        pair.compare(swap, now_s, figures)
    return figures
