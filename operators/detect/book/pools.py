"""What is known of a pool: its row, which the compiled loop reads and writes, and what is not on the hot path."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mevflow.operators.amm.concentrated.tick_map import TickMap
from mevflow.operators.detect.book.curves import Curve

#: Why a pool has no rate, as bits of ``doubt``: a row said that it changed but not how (the next that tells its state
#: ends that); no row has told its fee; its liquidity does not follow from what is known of its ticks; it was removed,
#: which only a row that states it whole takes back.
DOUBT_STATE, DOUBT_FEE, DOUBT_DEPTH, REMOVED = 1, 2, 4, 8
#: What a row that tells price and liquidity, or both reserves, does not end.
LASTING_DOUBT = DOUBT_FEE | REMOVED

POOL_DTYPE = np.dtype(
    [
        ("chain", np.int32),
        ("venue", np.int32),
        ("kind", np.int8),  # of :mod:`mevflow.operators.sizing.kinds`
        ("flipped", np.bool_),  # token A is the pair's larger mint
        ("pair", np.int32),
        ("mint_a", np.int32),
        ("mint_b", np.int32),
        ("fee_pips", np.uint32),
        ("tick_spacing", np.int32),
        ("tick", np.int32),
        ("denied", np.bool_),
        ("doubt", np.uint8),  # of kinds below KIND_STABLE, and of RESERVE_CURVES
        ("derived", np.bool_),  # its liquidity followed from its ticks: no row told it
        # Sqrt price, little-endian words (concentrated). From KIND_STABLE on three floats: the log rates net of fee
        # from token A to B and back, and B per A (0: nothing is known).
        ("price", np.uint64, 3),
        ("liquidity", np.uint64, 2),
        ("reserve_a", np.uint64, 2),
        ("reserve_b", np.uint64, 2),
        ("known_lower", np.int32),
        ("known_upper", np.int32),
        ("warm", np.bool_),  # a cycle through it paid since it was last found cold
        ("slot", np.uint64),  # where its newest event stands
        ("tx_index", np.uint32),
        ("ix_index", np.uint32),
    ],
    align=True,
)


@dataclass
class PoolInfo:
    """What is not on the hot path: the pool's key, the numbers of its mints A and B, its symbols, its ticks."""

    key: bytes
    mints: tuple[int, int]
    venue: int
    ticks: TickMap | None = None
    symbols: tuple[str, str] = ("", "")
    decimals: tuple[int, int] = (0, 0)
    #: A pool of n coins is n (n - 1) / 2 *faces*, one a pair of coins. The first has the state and knows them all.
    first: int = 0
    faces: list[int] = field(default_factory=list)
    coins: tuple[int, int] = (0, 1)  # which coins A and B are
    curve: Curve | None = None


def place_of(pool: np.void) -> tuple[int, int, int]:
    """Where a pool's newest event stands: slot, and the indices of transaction and instruction."""
    return int(pool["slot"]), int(pool["tx_index"]), int(pool["ix_index"])


def set_words(words: NDArray[np.uint64], raw: bytes) -> None:
    """Write an amount's bytes, little-endian, to the words of a row's field."""
    words[:] = np.frombuffer(raw.ljust(8 * len(words), b"\0"), "<u8")
