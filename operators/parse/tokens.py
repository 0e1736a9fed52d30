"""Tokens of the recorded days: what people call them, and their decimals, as the chains state them."""

from __future__ import annotations

from mevflow.operators.parse.whirlpool.state import Mint

#: Solana mints by address.
SOLANA = {
    "So11111111111111111111111111111111111111112": Mint("SOL", 9),
    "mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So": Mint("mSOL", 9),
    "orcaEKTdK7LKz57vaAYr9QeNsVEPfiu6QeMU1kektZE": Mint("ORCA", 6),
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": Mint("USDC", 6),
    "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB": Mint("USDT", 6),
    "9vMJfxuKxXBoEa7rM12mYLMwTacLMLDJqHozw96WQL8i": Mint("UST", 6),
}
