"""Ids are the same for the same parts, and differ for parts that merely look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mevflow.operators.ids import ID_BYTES, canonical, stable_id

PART = st.one_of(st.binary(max_size=40), st.text(max_size=20), st.integers(-(1 << 130), 1 << 130))
PARTS = st.lists(PART, max_size=6)


def typed(parts: list[bytes | str | int]) -> list[tuple[str, bytes | str | int]]:
    """Parts with their kind, for comparison: 1 and True or "a" and b"a" are not one thing."""
    return [(type(part).__name__, part) for part in parts]


@given(PARTS, PARTS)
def test_the_encoding_is_injective(a: list[bytes | str | int], b: list[bytes | str | int]) -> None:
    assert (canonical(*a) == canonical(*b)) == (typed(a) == typed(b))


@given(PARTS)
def test_ids_are_stable_and_sixteen_bytes(parts: list[bytes | str | int]) -> None:
    assert stable_id(*parts) == stable_id(*parts)
    assert len(stable_id(*parts)) == ID_BYTES


def test_ids_do_not_change_between_releases() -> None:
    """Stored rows carry these; another value here means that no old row joins a new one."""
    assert stable_id("mevflow", 1, b"\x00\xff").hex() == GOLDEN


def test_boundaries_between_parts_count() -> None:
    assert stable_id("ab", "c") != stable_id("a", "bc")
    assert len({stable_id(1), stable_id("1"), stable_id(b"1")}) == 3


def test_other_kinds_of_part_are_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        stable_id(1.5)  # type: ignore[arg-type]


def test_the_encoding_to_the_byte() -> None:
    assert canonical() == b""
    assert canonical("é") == b"s\x02\0\0\0\xc3\xa9"
    assert canonical(b"\0") == b"b\x01\0\0\0\0"
    assert canonical(b"x" * 258)[:5] == b"b\x02\x01\0\0"
    assert canonical("x" * 258)[:5] == b"s\x02\x01\0\0"


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\0"), (-1, b"\xff"), (-128, b"\x80\xff"), (-129, b"\x7f\xff")],
)
def test_integers_to_the_byte(number: int, encoded: bytes) -> None:
    assert canonical(number) == b"i" + len(encoded).to_bytes(4, "little") + encoded


@pytest.mark.parametrize("size", [31, 32, 33, 34, 300])
def test_long_integers_to_the_byte(size: int) -> None:
    number = 1 << (8 * size - 2)
    assert canonical(number) == b"i" + size.to_bytes(4, "little") + number.to_bytes(size, "little")


GOLDEN = "8de412b92bd85bfef4c95f3fe43c7a0b"
