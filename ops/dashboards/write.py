"""``python -m mevflow.ops.dashboards.write [FOLDER]``: the dashboards as the files that Grafana imports."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mevflow.ops.dashboards import bandit, clickhouse, dataflow, gateway, kafka, overview
from mevflow.ops.dashboards.panels import Board

ALL: tuple[Board, ...] = tuple(each.BOARD for each in (overview, dataflow, kafka, clickhouse, bandit, gateway))


def files() -> dict[str, str]:
    """File name -> content."""
    return {f"{board.uid}.json": json.dumps(board.document(), indent=2, sort_keys=True) + "\n" for board in ALL}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "grafana"
    folder.mkdir(exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)
