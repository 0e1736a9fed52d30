"""Little-endian fields out of account data, with every read checked."""

from __future__ import annotations

from mevflow.operators.accounts.errors import AccountError


class AccountReader:
    """Reads ``data`` field by field from ``at``.

    ``what`` names the account in errors. ``size`` is the least length in bytes; a shorter account is refused at
    once, a longer one is read up to its known fields (programs grow accounts at the end).
    """

    def __init__(self, data: bytes, what: str, size: int, discriminator: bytes = b"") -> None:
        if data[: len(discriminator)] != discriminator:
            raise AccountError(
                f"not a {what} account: it begins with {bytes(data[:8]).hex() or 'nothing'}", reason="unknown"
            )
        if len(data) < size:
            raise AccountError(f"a {what} account has {size} bytes, not {len(data)}", reason="truncated")
        self.data = bytes(data)
        self.what = what
        self.at = len(discriminator)

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes. Raises AccountError (truncated) when they are not there."""
        end = self.at + count
        if end > len(self.data):
            raise AccountError(f"a {self.what} account ends at byte {len(self.data)}, not {end}", reason="truncated")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def skip(self, count: int) -> None:
        self.take(count)

    def uint(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def sint(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little", signed=True)

    def u8(self) -> int:
        return self.uint(1)

    def u16(self) -> int:
        return self.uint(2)

    def u32(self) -> int:
        return self.uint(4)

    def u64(self) -> int:
        return self.uint(8)

    def u128(self) -> int:
        return self.uint(16)

    def i32(self) -> int:
        return self.sint(4)

    def i64(self) -> int:
        return self.sint(8)

    def i128(self) -> int:
        return self.sint(16)

    def key(self) -> bytes:
        """A public key, 32 bytes."""
        return self.take(32)

    def require(self, holds: bool, message: str) -> None:
        """Raise AccountError (value) unless ``holds``."""
        if not holds:
            raise AccountError(f"a {self.what} account's {message}", reason="value")
