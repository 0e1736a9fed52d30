"""What every dashboard must be. Each fault is one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mevflow.metrics.catalogue import CATALOGUE

_NAME = re.compile(r"\bmevflow_[a-z_]+")
KNOWN = {series for metric in CATALOGUE.values() for series in metric.series}


def metrics(expr: str) -> set[str]:
    """The metrics that an expression or a query of a variable names."""
    return set(_NAME.findall(expr))


def expressions(document: dict[str, Any]) -> Iterator[str]:
    """Every PromQL expression, annotations included."""
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            if "expr" in target:
                yield target["expr"]
    for annotation in document["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["expr"]


def statements(document: dict[str, Any]) -> Iterator[str]:
    """Every statement to ClickHouse."""
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            if "rawSql" in target:
                yield target["rawSql"]


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with one dashboard."""
    found: list[str] = []
    if not re.fullmatch(r"mevflow-[a-z]+", document.get("uid", "")):
        found.append(f"uid {document.get('uid')!r}")
    for needed in ("title", "description"):
        if not document.get(needed):
            found.append(f"no {needed}")
    names = {variable["name"] for variable in document["templating"]["list"]}
    found += [f"no variable {name}" for name in sorted({"datasource", "environment", "topology"} - names)]
    ids = [panel["id"] for panel in document["panels"]]
    if len(ids) != len(set(ids)):
        found.append("ids of panels are not unique")
    for panel in document["panels"]:
        if panel["type"] != "row":
            found += [f"{panel.get('title')!r}: {fault}" for fault in _of_panel(panel, names)]
    found += _overlaps(document["panels"])
    for expr in (*expressions(document), *(str(v.get("query", "")) for v in document["templating"]["list"])):
        found += [f"no metric {name}" for name in sorted(metrics(expr) - KNOWN)]
    return found


def _of_panel(panel: dict[str, Any], names: set[str]) -> Iterator[str]:
    for needed in ("title", "description"):
        if not panel.get(needed):
            yield f"no {needed}"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    if panel["datasource"]["uid"] not in ("$datasource", "$clickhouse"):
        yield "its data source is not the dashboard's"
    for target in panel["targets"]:
        if "rawSql" in target:
            for used in set(re.findall(r"\$\{?([a-z]+)\b", target["rawSql"])) - names:
                yield f"no variable {used}"
            if "$__timeFilter(" not in target["rawSql"]:
                yield "a statement without the dashboard's time"
            continue
        expr = target["expr"]
        if not target.get("legendFormat"):
            yield "a query without a legend"
        if re.search(r"(rate|increase)\([^[]*\[\d+[smh]\]", expr):
            yield "a fixed window where $__rate_interval belongs"
        for used in set(re.findall(r"\$([a-z]+)\b", expr)) - names:
            yield f"no variable {used}"


def _overlaps(panels: list[dict[str, Any]]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        at = panel["gridPos"]
        if at.get("x", 0) + at["w"] > 24:
            yield f"{panel['title']!r} is beyond the right edge"
        for x in range(at.get("x", 0), at.get("x", 0) + at["w"]):
            for y in range(at.get("y", 0), at.get("y", 0) + at["h"]):
                if (x, y) in taken:
                    yield f"{panel['title']!r} lies over {taken[x, y]!r}"
                    return
                taken[x, y] = str(panel["title"])
