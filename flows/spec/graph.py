"""A topology drawn: as text for a terminal, as Mermaid, and as SVG."""

from __future__ import annotations

from html import escape

from mevflow.flows.spec.catalogue import role
from mevflow.flows.spec.resolve import ResolvedNode, ResolvedTopology

_COLOURS = {"source": "#d6ebff", "stage": "#eef3d0", "sink": "#ffe2cc"}
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 190, 52, 70, 22, 24


def _layers(topology: ResolvedTopology) -> dict[str, int]:
    """Distance of each node from the sources, the longest way."""
    depth: dict[str, int] = {}
    for node in topology.nodes:  # inputs come first
        depth[node.name] = max((depth[wire.source] + 1 for wire in node.wires), default=0)
    return depth


def text(topology: ResolvedTopology) -> str:
    """One line a node, indented by its distance from the sources, with what it takes."""
    depth = _layers(topology)
    lines = [f"{topology.name}: {topology.summary} ({topology.shards} shard{'s'[: topology.shards > 1]})"]
    for node in sorted(topology.nodes, key=lambda n: depth[n.name]):
        wires = ", ".join(f"{w.source}.{w.source_port}" for w in node.wires)
        arrow = f"  <- {wires}" if wires else ""
        lines.append(f"{'  ' * (depth[node.name] + 1)}{node.name} [{node.kind.use}]{arrow}")
    return "\n".join(lines)


def mermaid(topology: ResolvedTopology) -> str:
    """A Mermaid flowchart."""
    lines = ["flowchart LR"]
    for node in topology.nodes:
        start, end = {"source": ("([", "])"), "sink": ("[(", ")]"), "stage": ("[", "]")}[role(node.kind)]
        lines.append(f'  {_id(node.name)}{start}"{node.name}<br/><small>{node.kind.use}</small>"{end}')
    for node in topology.nodes:
        for wire in node.wires:
            label = "" if wire.source_port == "out" else f"|{wire.source_port}|"
            lines.append(f"  {_id(wire.source)} -->{label} {_id(node.name)}")
    return "\n".join(lines)


def _id(name: str) -> str:
    return name.replace("-", "_")


def svg(topology: ResolvedTopology) -> str:
    """A drawing in columns, sources on the left."""
    depth = _layers(topology)
    columns: dict[int, list[ResolvedNode]] = {}
    for node in topology.nodes:
        columns.setdefault(depth[node.name], []).append(node)
    tallest = max(len(column) for column in columns.values())
    width = 2 * _MARGIN + len(columns) * _WIDTH + (len(columns) - 1) * _GAP_X
    height = 2 * _MARGIN + tallest * (_HEIGHT + _GAP_Y)
    place: dict[str, tuple[float, float]] = {}
    for x, column in columns.items():
        offset = (tallest - len(column)) * (_HEIGHT + _GAP_Y) / 2
        for y, node in enumerate(column):
            place[node.name] = (
                _MARGIN + x * (_WIDTH + _GAP_X),
                _MARGIN + offset + y * (_HEIGHT + _GAP_Y),
            )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:g}" '
        f'font-family="sans-serif" font-size="13">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
    ]
    for node in topology.nodes:
        for wire in node.wires:
            x1, y1 = place[wire.source][0] + _WIDTH, place[wire.source][1] + _HEIGHT / 2
            x2, y2 = place[node.name][0], place[node.name][1] + _HEIGHT / 2
            bend = max(30.0, (x2 - x1) / 2)
            dash = ' stroke-dasharray="4 3"' if wire.source_port == "errors" else ""
            parts.append(
                f'<path d="M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}" '
                f'fill="none" stroke="#667"{dash} marker-end="url(#tip)">'
                f"<title>{escape(wire.source)}.{escape(wire.source_port)}</title></path>"
            )
    for node in topology.nodes:
        left, top = place[node.name]
        parts.append(
            f'<rect x="{left:g}" y="{top:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" '
            f'fill="{_COLOURS[role(node.kind)]}" stroke="#556"/>'
            f'<text x="{left + _WIDTH / 2:g}" y="{top + 22:g}" text-anchor="middle" font-weight="bold">'
            f"{escape(node.name)}</text>"
            f'<text x="{left + _WIDTH / 2:g}" y="{top + 39:g}" text-anchor="middle" fill="#445">'
            f"{escape(node.kind.use)}</text>"
        )
    return "\n".join([*parts, "</svg>"])
