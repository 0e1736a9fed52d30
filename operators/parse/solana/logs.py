"""Data that Solana programs write into their log."""

from __future__ import annotations

import base64
import binascii

from mevflow.operators.parse.errors import ParseError

DATA = "Program data: "
RAY_LOG = "Program log: ray_log: "


def log_data(line: str, prefix: str) -> bytes:
    """What a line carries; of several fields only the first is an event's. Raises ParseError."""
    text = line.removeprefix(prefix)
    try:
        return base64.b64decode(text.split(" ")[0], validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise ParseError(f"{text[:40]!r} is not base64") from wrong
