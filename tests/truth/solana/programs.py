"""Programs of others, as files that whoever runs the tests has: ``MEVFLOW_PROGRAMS`` names their folder.

Their licences allow to test against them, not to ship them, so the repository has none. docs/truth.md says how to get
them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from solders.pubkey import Pubkey

VARIABLE = "MEVFLOW_PROGRAMS"


@dataclass(frozen=True)
class Program:
    """A program's file and the address under which it accepts calls."""

    address: Pubkey
    path: Path


@dataclass(frozen=True)
class Wanted:
    """A program that is to be had: the names of its file, first the documented one, and its addresses."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]

    def found(self) -> Program | None:
        """The file in the folder, if there is one.

        A program refuses calls under another address than the one that it was built for, which stands in its file:
        Orca publishes an immutable build of Whirlpool beside the one that can be upgraded.
        """
        folder = os.environ.get(VARIABLE)
        if not folder:
            return None
        for name in self.names:
            path = Path(folder) / name
            if path.is_file():
                code = path.read_bytes()
                built = [one for one in self.addresses if bytes(Pubkey.from_string(one)) in code]
                return Program(Pubkey.from_string((built or self.addresses)[0]), path)
        return None

    def missing(self) -> str:
        """What is not there and how to get it, in one line."""
        folder, name = os.environ.get(VARIABLE), self.names[0]
        where = f"{VARIABLE}={folder} has no {name}" if folder else f"{VARIABLE}=DIR with {name} is not set"
        return f"{where}; get it by: solana program dump -u mainnet-beta {self.addresses[0]} DIR/{name}"


WHIRLPOOL = Wanted(
    ("whirlpool.so", "whirlpool_immutable.so"),
    ("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc", "iwhrLHdsgrvmnwU8GF2FSmyabSMjfHwFGJAX2ufJ3ZN"),
)
DLMM = Wanted(("dlmm.so", "lb_clmm_prod.so", "lb_clmm.so"), ("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo",))
