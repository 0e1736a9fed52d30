"""Trades for tests, in few words."""

from __future__ import annotations

from typing import Any

from mevflow.operators.label.trade import Trade


def word(text: str) -> bytes:
    return text.encode()


def trade(route: str, amounts: tuple[int, int], pool: str, at: int | tuple[int, ...] = 0, **other: Any) -> Trade:
    """``route`` is "A>B"; ``hands`` is "payer>recipient"; ``tx`` and ``signer`` have defaults."""
    token_in, token_out = route.split(">")
    payer, recipient = other.get("hands", ">").split(">")
    return Trade(
        tx_index=other.get("tx", 0),
        place=at if isinstance(at, tuple) else (at,),
        pool=word(pool),
        token_in=word(token_in),
        token_out=word(token_out),
        amount_in=amounts[0],
        amount_out=amounts[1],
        signer=word(other.get("signer", "")),
        payer=word(payer),
        recipient=word(recipient),
    )
