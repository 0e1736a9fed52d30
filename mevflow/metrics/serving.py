"""Whether and where a process serves its metrics: what the one that starts it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mevflow.operators.errors import UsageError

if TYPE_CHECKING:
    from mevflow.metrics.endpoint import Endpoint
    from mevflow.metrics.page import Teller


class Serving(msgspec.Struct, frozen=True):
    """``var``: the folder whose ``prometheus/targets.json`` names the process. ``port`` 0: a free one."""

    var: str
    host: str = "127.0.0.1"
    port: int = 0

    def argument(self) -> str:
        """As one word of a command line."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, text: str) -> Serving | None:
        """From such a word; None for an empty one. Raises UsageError."""
        try:
            return msgspec.json.decode(text, type=cls) if text else None
        except msgspec.DecodeError as error:
            raise UsageError(f"--metrics cannot be read: {error}") from None

    def begin(
        self,
        job: str,
        labels: Mapping[str, str],
        tellers: list[Teller],
        *,
        pages: Mapping[str, Callable[[], bytes]] | None = None,
        unready: Callable[[], str] = lambda: "",
    ) -> Endpoint:
        """Serve. Raises MevflowError when the address cannot be had."""
        from mevflow.metrics.endpoint import Endpoint  # a command that only reads the configuration serves nothing

        endpoint = Endpoint(labels, tellers, host=self.host, port=self.port, pages=pages, unready=unready)
        return endpoint.join(Path(self.var), job)
