"""A Solana bank in this process (LiteSVM): accounts put into it, instructions executed, balances read back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from solders.account import Account
from solders.compute_budget import ComputeBudget
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata
from solders.transaction_status import TransactionErrorInstructionError

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
SYSTEM = Pubkey.default()
MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
#: What an account is given so that no rent is due.
_LAMPORTS = 10**12
#: Far above the 1.4 million units of a transaction: what is held against the program is its arithmetic.
_COMPUTE_UNITS = 10**8


def discriminator(name: str) -> bytes:
    """The first eight bytes of an Anchor program's instruction."""
    return hashlib.sha256(f"global:{name}".encode()).digest()[:8]


@dataclass(frozen=True)
class Call:
    """One instruction in plain values; ``accounts`` are (address, who writes to it)."""

    program: Pubkey
    data: bytes
    accounts: list[tuple[Pubkey, bool]] = field(default_factory=list)


class Bank:
    """Programs and accounts. ``owner`` signs every call and owns the token accounts of :meth:`hold`."""

    def __init__(self) -> None:
        budget = ComputeBudget(False)
        budget.compute_unit_limit = _COMPUTE_UNITS
        self._svm = (
            LiteSVM()
            .with_compute_budget(budget)
            .with_sigverify(False)
            .with_blockhash_check(False)
            .with_transaction_history(0)
        )
        self._keys = Keypair.from_seed(bytes(range(32)))
        self.owner = self._keys.pubkey()
        self.place(self.owner, SYSTEM, b"")

    def add_program(self, address: Pubkey, path: Path) -> None:
        self._svm.add_program(address, path.read_bytes())

    def set_time(self, time_s: int, slot: int) -> None:
        clock = self._svm.get_clock()
        clock.unix_timestamp, clock.slot = time_s, slot
        self._svm.set_clock(clock)

    def place(self, address: Pubkey, program: Pubkey, data: bytes) -> None:
        """Put an account's bytes at an address, whatever was there."""
        self._svm.set_account(address, Account(_LAMPORTS, data, program))

    def data(self, address: Pubkey) -> bytes:
        """An account's bytes."""
        found = self._svm.get_account(address)
        if found is None:
            raise KeyError(f"no account {address}")
        return bytes(found.data)

    def mint(self, address: Pubkey, decimals: int = 6) -> None:
        """A mint of the token program, whose supply nobody can change."""
        self.place(address, TOKEN, bytes(36) + (2**63).to_bytes(8, "little") + bytes([decimals, 1]) + bytes(36))

    def hold(self, address: Pubkey, mint: Pubkey, owner: Pubkey, amount_raw: int) -> None:
        """A token account of ``owner`` with ``amount_raw`` units."""
        head = bytes(mint) + bytes(owner) + amount_raw.to_bytes(8, "little")
        self.place(address, TOKEN, head + bytes(36) + b"\1" + bytes(12 + 8 + 36))

    def balance(self, address: Pubkey) -> int:
        """Units in a token account."""
        return int.from_bytes(self.data(address)[64:72], "little")

    def execute(self, call: Call) -> str | None:
        """Run one instruction as a transaction; None if it succeeded, else the program's error.

        Raises RuntimeError where the bank itself refuses: the program was never asked then.
        """
        metas = [AccountMeta(address, address == self.owner, writes) for address, writes in call.accounts]
        message = Message.new_with_blockhash([Instruction(call.program, call.data, metas)], self.owner, Hash.default())
        done = self._svm.send_transaction(Transaction.new_unsigned(message))
        if not isinstance(done, FailedTransactionMetadata):
            return None
        logs = done.meta().logs()
        if not isinstance(done.err(), TransactionErrorInstructionError) or not logs:
            raise RuntimeError(f"the bank did not ask the program {call.program}: {done.err()}")
        said = [line for line in logs if "Error" in line or "panicked" in line]
        return (said or logs)[-1]
