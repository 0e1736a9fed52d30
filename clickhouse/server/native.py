"""Native blocks as a client of a protocol version expects them; the engine writes those of version 0 alone.

From version 51903 on a block begins with its BlockInfo, and from 54337 on the type of a column ``DateTime('zone')``
names the zone. Later versions add what cannot be told from outside, so they are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mevflow.clickhouse.server.engine import Connection
from mevflow.clickhouse.server.errors import NOT_IMPLEMENTED, refuse

_BLOCK_INFO_FROM, _ZONES_FROM, _CUSTOM_FROM = 51_903, 54_337, 54_454
#: is_overflows = 0, bucket_num = -1.
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"


class Revision:
    """Rewrites the blocks of one answer for ``version``. Raises ServerError for a version that is not possible."""

    def __init__(self, version: int) -> None:
        if version >= _CUSTOM_FROM:
            raise refuse(
                NOT_IMPLEMENTED,
                f"client_protocol_version {version} is not supported by the embedded server, "
                f"which knows those before {_CUSTOM_FROM}",
            )
        self._version = version
        self._zones: list[tuple[bytes, bytes]] = []

    @property
    def changes(self) -> bool:
        """Whether blocks differ from those of version 0."""
        return self._version >= _BLOCK_INFO_FROM

    def learn(self, connection: Connection, select: bytes, params: Mapping[str, str]) -> None:
        """Find out which columns of ``select`` (without a FORMAT clause) have a zone."""
        if self._version < _ZONES_FROM:
            return
        described, _ = connection.query(b"DESCRIBE (\n%b\n)" % select.rstrip(b"; \r\n\t"), "JSONCompactEachRow", params)
        for name, kind, *_rest in map(json.loads, described.decode("utf-8", "surrogateescape").splitlines()):
            if kind.startswith("DateTime('"):
                column = _text(name)
                self._zones.append((column + _text("DateTime"), column + _text(kind)))

    def apply(self, block: bytes) -> bytes:
        """One block. Raises ServerError when its column heads cannot be told from its data."""
        for plain, zoned in self._zones:
            if block.count(plain) != 1:
                raise refuse(
                    NOT_IMPLEMENTED, "a DateTime column of this answer cannot be found in Native; use another format"
                )
            block = block.replace(plain, zoned)
        return _BLOCK_INFO + block

    def apply_single(self, answer: bytes, rows: int) -> bytes:
        """A whole answer of ``rows`` rows that is one block, as those of SHOW and DESCRIBE are."""
        if not answer:
            return answer
        _, at = _number(answer, 0)
        in_first, _ = _number(answer, at)
        if in_first != rows:
            raise refuse(NOT_IMPLEMENTED, "this answer has too many rows for Native of a protocol version")
        return _BLOCK_INFO + answer


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    size, head = len(data), bytearray()
    while size >= 128:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + data


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The variable-length number at ``at``, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
