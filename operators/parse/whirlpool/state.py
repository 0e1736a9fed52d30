"""Where the recorded Whirlpool day begins: a JSON file that ``mevflow parse start-state`` derives.

Numbers beyond 53 bits are written as text, so that any JSON reader keeps them whole.
"""

from __future__ import annotations

from operator import attrgetter

import msgspec

from mevflow.operators.parse.errors import ParseError


class Mint(msgspec.Struct, frozen=True):
    """A token, as people name it."""

    symbol: str
    decimals: int


class PoolStart(msgspec.Struct, frozen=True):
    """A pool before the first instruction.

    Any price in [``sqrt_price_low``, ``sqrt_price_high``] replays the day alike; ``sqrt_price`` is one of them.
    ``ticks`` are (tick, net, gross). ``liquidity`` is stated, not summed: see docs/parsing.md.
    """

    pool: str
    mint_a: str
    mint_b: str
    tick_spacing: int
    fee_pips: int
    protocol_fee_bps: int
    sqrt_price: str
    sqrt_price_low: str
    sqrt_price_high: str
    liquidity: str
    tick: int
    ticks: list[tuple[int, str, str]]


class PositionStart(msgspec.Struct, frozen=True):
    """A position that the day touches and did not open. ``inferred``: the range follows from amounts."""

    position: str
    pool: str
    lower: int
    upper: int
    liquidity: str
    inferred: bool


class StartState(msgspec.Struct, frozen=True):
    """Everything that a replay needs to know beforehand. ``slot`` is the one before the first recorded slot."""

    slot: int
    block_time: int
    note: str
    mints: dict[str, Mint]
    fee_tiers: dict[str, int]
    protocol_fees_bps: dict[str, int]
    pools: list[PoolStart]
    positions: list[PositionStart]


def read_start_state(document: bytes) -> StartState:
    """Decode a start state. Raises ParseError."""
    try:
        return msgspec.json.decode(document, type=StartState)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as wrong:
        raise ParseError(f"not a Whirlpool start state: {wrong}") from wrong


def write_start_state(state: StartState) -> bytes:
    """The file's bytes: indented, sorted, the same for the same state."""
    ordered = msgspec.structs.replace(
        state,
        pools=sorted(state.pools, key=attrgetter("pool")),
        positions=sorted(state.positions, key=attrgetter("position")),
    )
    return msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n"
