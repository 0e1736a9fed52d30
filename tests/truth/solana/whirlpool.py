"""Orca's Whirlpool program beside ``operators/amm``: random swaps on the recorded pools, everything compared.

Pools come from the snapshot that the repository ships. One built for another address has its pools moved to where that
address's seeds put them; nothing else of them changes.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from solders.pubkey import Pubkey

from mevflow.operators.accounts import whirlpool as accounts
from mevflow.operators.accounts.snapshot import read_lines
from mevflow.operators.accounts.states import whirlpool_state
from mevflow.operators.amm.concentrated import tick_math_x64, whirlpool_program
from mevflow.operators.amm.concentrated.curve import AmmError, ConcentratedState, Quote
from mevflow.operators.amm.concentrated.whirlpool import ARRAYS_PER_SWAP, TICKS_PER_ARRAY, array_start
from tests.truth.solana.bank import MEMO, TOKEN, Bank, Call, discriminator
from tests.truth.solana.figures import ProgramFigures
from tests.truth.solana.programs import Program

SNAPSHOT = Path(__file__).parents[3] / "examples/data/whirlpool-snapshot-185759999.csv.gz"
MOST = 2**64 - 1
#: After the snapshot was taken.
_START_S = 1_700_000_000


@dataclass(frozen=True)
class Swap:
    """What is asked of a pool. ``limit`` is a square-root price, 0 for none."""

    a_to_b: bool
    exact_in: bool
    amount: int
    limit: int = 0

    def data(self, version: int) -> bytes:
        """The instruction's data: ``swap`` (1) or ``swap_v2`` (2), content with any output, or any input."""
        name = "swap" if version == 1 else "swap_v2"
        threshold = 0 if self.exact_in else MOST
        numbers = (
            self.amount.to_bytes(8, "little") + threshold.to_bytes(8, "little") + self.limit.to_bytes(16, "little")
        )
        return discriminator(name) + numbers + bytes([self.exact_in, self.a_to_b]) + (b"" if version == 1 else b"\0")


@dataclass(frozen=True)
class RecordedPool:
    """A pool's account, and its tick arrays by their first tick."""

    address: Pubkey
    data: bytes
    arrays: dict[int, bytes]

    def moved(self, program: Pubkey) -> RecordedPool:
        """Where the pool would be if ``program`` had made it."""
        seeds = [b"whirlpool", self.data[8:40], self.data[101:133], self.data[181:213], self.data[43:45]]
        address, bump = Pubkey.find_program_address(seeds, program)
        pool = bytearray(self.data)
        pool[40] = bump
        arrays = {}
        for start, data in self.arrays.items():
            at = 12 if data[:8] == accounts.DYNAMIC_TICK_ARRAY else len(data) - 32
            arrays[start] = data[:at] + bytes(address) + data[at + 32 :]
        return RecordedPool(address, bytes(pool), arrays)


@cache
def recorded_pools() -> tuple[RecordedPool, ...]:
    """Every pool of the snapshot."""
    pools: dict[bytes, bytes] = {}
    arrays: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    for _, address, data in read_lines(SNAPSHOT):
        if data[:8] == accounts.POOL:
            pools[address] = data
        elif data[:8] in (accounts.FIXED_TICK_ARRAY, accounts.DYNAMIC_TICK_ARRAY):
            array = accounts.decode_tick_array(data)
            arrays[array.pool][array.start_tick] = data
    return tuple(RecordedPool(Pubkey(address), data, arrays[address]) for address, data in sorted(pools.items()))


class WhirlpoolPool:
    """A pool in a bank, and what the product thinks of it."""

    def __init__(self, bank: Bank, program: Pubkey, recorded: RecordedPool) -> None:
        self.bank, self.program, self.address = bank, program, recorded.address
        self.account = accounts.decode_pool(recorded.data)
        self.state = whirlpool_state(self.account, map(accounts.decode_tick_array, recorded.arrays.values()))
        bank.place(recorded.address, program, recorded.data)
        for start, data in recorded.arrays.items():
            bank.place(self._array(start), program, data)
        self.mints = Pubkey(self.account.mint_a), Pubkey(self.account.mint_b)
        self.vaults = Pubkey(self.account.vault_a), Pubkey(self.account.vault_b)
        self.wallets = tuple(Pubkey.find_program_address([b"held", bytes(mint)], TOKEN)[0] for mint in self.mints)
        for mint in self.mints:
            bank.mint(mint)

    def call(self, swap: Swap, version: int) -> Call:
        """The instruction, with the three tick arrays that it may use."""
        spacing = self.state.tick_spacing
        width = TICKS_PER_ARRAY * spacing
        first = array_start(self.state.tick + (0 if swap.a_to_b else spacing), spacing)
        step = -width if swap.a_to_b else width
        arrays = [self._array(first + place * step) for place in range(ARRAYS_PER_SWAP)]
        oracle = Pubkey.find_program_address([b"oracle", bytes(self.address)], self.program)[0]
        held = [(self.wallets[0], True), (self.vaults[0], True), (self.wallets[1], True), (self.vaults[1], True)]
        tail = [*held, *((array, True) for array in arrays), (oracle, version == 2)]
        if version == 1:
            head = [(TOKEN, False), (self.bank.owner, False), (self.address, True)]
        else:
            head = [(TOKEN, False), (TOKEN, False), (MEMO, False), (self.bank.owner, False), (self.address, True)]
            head += [(mint, False) for mint in self.mints]
        return Call(self.program, swap.data(version), head + tail)

    def execute(self, swap: Swap, version: int) -> str | tuple[int, int]:
        """Swap by the program: what it took and gave, or why it refused."""
        for side, mint in enumerate(self.mints):
            is_input = (side == 0) == swap.a_to_b
            self.bank.hold(self.wallets[side], mint, self.bank.owner, MOST if is_input else 0)
            self.bank.hold(self.vaults[side], mint, self.address, 0 if is_input else MOST)
        if (refused := self.bank.execute(self.call(swap, version))) is not None:
            return refused
        given, got = (0, 1) if swap.a_to_b else (1, 0)
        return self.bank.balance(self.vaults[given]), self.bank.balance(self.wallets[got])

    def quote(self, swap: Swap) -> Quote | None:
        """What the product says of a swap, None if it would be refused.

        A swap may end before its amount is used up at a limit that it names, and, by its input, at the last price of
        all; what stops earlier (the third tick array ends) the program refuses.
        """
        ask = whirlpool_program.quote_exact_in if swap.exact_in else whirlpool_program.quote_exact_out
        try:
            quote = ask(self.state, swap.a_to_b, swap.amount, swap.limit or None)
        except AmmError:
            return None
        last = tick_math_x64.MIN_SQRT_PRICE if swap.a_to_b else tick_math_x64.MAX_SQRT_PRICE
        may_end_at = swap.limit or (last if swap.exact_in else None)
        return quote if quote.filled or quote.sqrt_price_after == may_end_at else None

    def compare(self, swap: Swap, version: int, figures: ProgramFigures) -> None:
        """Swap by both, and compare what moved and where the pool is."""
        quote = self.quote(swap)
        done = self.execute(swap, version)
        where = f"{self.address} {swap}"
        if isinstance(done, str):
            if quote is None:
                figures.refuse(done)
            else:
                figures.different.append(f"{where}: refused ({done}), quoted {quote}")
            return
        figures.executed += 1
        if quote is None:
            figures.different.append(f"{where}: moved {done}, thought refused")
            return
        after = accounts.decode_pool(self.bank.data(self.address))
        owed = (after.protocol_fee_owed_a - self.account.protocol_fee_owed_a) + (
            after.protocol_fee_owed_b - self.account.protocol_fee_owed_b
        )
        said = (*done, after.sqrt_price, after.tick, after.liquidity, owed)
        thought = (
            quote.amount_in,
            quote.amount_out,
            quote.sqrt_price_after,
            quote.tick_after,
            quote.liquidity_after,
            quote.protocol_fee,
        )
        if said != thought:
            figures.different.append(f"{where}: {said}, thought {thought}")
        self.account, self.state = after, quote.applied_to(self.state)

    def _array(self, start: int) -> Pubkey:
        return Pubkey.find_program_address([b"tick_array", bytes(self.address), str(start).encode()], self.program)[0]


def random_swap(chance: random.Random, state: ConcentratedState) -> Swap:
    """Of any size; one of four names a limit, near or far, and rarely on the wrong side of the price."""
    a_to_b, exact_in = chance.random() < 0.5, chance.random() < 0.6
    amount = int(10 ** chance.uniform(0, 12))
    if chance.random() < 0.75:
        return Swap(a_to_b, exact_in, amount)
    wrong = chance.random() < 0.05
    factor = 1 + 10 ** chance.uniform(-6, 0)
    limit = state.sqrt_price / factor if a_to_b != wrong else state.sqrt_price * factor
    bounded = min(max(int(limit), tick_math_x64.MIN_SQRT_PRICE), tick_math_x64.MAX_SQRT_PRICE)
    return Swap(a_to_b, exact_in, amount, bounded)


def swap_whirlpools(program: Program, swaps: int, seed: int) -> ProgramFigures:
    """So many random swaps, one after another, on all recorded pools with liquidity at their price."""
    chance, bank, figures = random.Random(seed), Bank(), ProgramFigures()
    bank.add_program(program.address, program.path)
    recorded = [one for one in recorded_pools() if accounts.decode_pool(one.data).liquidity]
    pools: dict[Pubkey, WhirlpoolPool] = {}
    for number in range(swaps):
        bank.set_time(_START_S + 60 * number, 200_000_000 + 150 * number)
        one = chance.choice(recorded)
        if one.address not in pools:
            pools[one.address] = WhirlpoolPool(bank, program.address, one.moved(program.address))
        pool = pools[one.address]
        pool.compare(random_swap(chance, pool.state), chance.choice((1, 2)), figures)
    return figures
