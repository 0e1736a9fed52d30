"""Exact output where a program only offers exact input: the least input that gives at least what is wanted."""

from __future__ import annotations

from collections.abc import Callable

from mevflow.operators.amm.concentrated.curve import AmmError
from mevflow.operators.amm.inverse import first_true


def least_input(amount_out: Callable[[int], int], wanted: int, guess: int, most: int) -> int:
    """The least input up to ``most`` for which ``amount_out`` is at least ``wanted``.

    ``amount_out`` must not fall when its input rises; ``guess`` need only be near. Raises AmmError when no input
    is enough or ``wanted`` is not positive.
    """
    if wanted <= 0:
        raise AmmError(f"an amount is positive, not {wanted}")
    found = first_true(lambda amount: amount_out(amount) >= wanted, guess, 1, most)
    if found is None:
        raise AmmError(f"no input up to {most} gives {wanted}")
    return found
