"""What a check raises when a part breaks its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

from mevflow.operators.errors import StateError

#: What no part has written: not msgpack, not JSON, not protobuf.
FOREIGN_STATE = b"\xc1 no snapshot"


class ContractBroken(AssertionError):
    """A rule of the contract does not hold. The message names the part, the rule and what was found."""


class Named(Protocol):
    """A case has a name that messages begin with."""

    @property
    def name(self) -> str: ...


Case = TypeVar("Case", bound=Named)


def demand(holds: bool, what: str) -> None:
    """Raise ContractBroken with ``what`` unless it holds."""
    if not holds:
        raise ContractBroken(what)


@contextmanager
def refused(what: str) -> Iterator[None]:
    """The block must raise StateError. Raises ContractBroken when it raises nothing or something else."""
    try:
        yield
    except StateError:
        return
    except Exception as error:
        raise ContractBroken(f"{what} raises {type(error).__name__}, not StateError: {error}") from error
    raise ContractBroken(f"{what} is taken; it must raise StateError")


def check_all(rules: Mapping[str, Callable[[Case], None]], case: Case) -> None:
    """Try every rule on ``case``. Raises ContractBroken for the first that does not hold."""
    for rule, check in rules.items():
        try:
            check(case)
        except ContractBroken as broken:
            raise ContractBroken(f"{case.name}: {rule}: {broken}") from broken
