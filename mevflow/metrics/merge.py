"""Several pages as one: each family once, with the samples of all."""

from __future__ import annotations

from collections.abc import Iterable

_END = "# EOF"


def merged(pages: Iterable[str]) -> bytes:
    """OpenMetrics pages whose samples differ in their labels, as one page.

    >>> page = "# HELP a b\\n# TYPE a gauge\\na{shard=\\"0\\"} 1.0\\n# EOF\\n"
    >>> print(merged([page, page.replace("0", "1", 1)]).decode(), end="")
    # HELP a b
    # TYPE a gauge
    a{shard="0"} 1.0
    a{shard="1"} 1.0
    # EOF
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for page in pages:
        family = ""
        for line in page.splitlines():
            if line.startswith("# ") and line != _END:
                name = line.split(" ", 3)[2]
                if name != family:
                    family, fresh = name, name not in heads
                if fresh:
                    heads.setdefault(family, []).append(line)
            elif line and line != _END:
                samples.setdefault(family, []).append(line)
    lines = [line for family, head in heads.items() for line in (*head, *samples.get(family, ()))]
    return "\n".join([*lines, _END, ""]).encode()
