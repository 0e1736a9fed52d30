"""A panel, a row of panels, a dashboard: everything that the six have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, VariableRefresh

SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
#: The data source of panels in SQL, by the plug-in of that name.
TABLES = DataSourceRef(type_val="grafana-clickhouse-datasource", uid="$clickhouse")
#: Variables of a dashboard that names none: name -> the query that gives its values.
_VARIABLES = {"topology": "label_values(mevflow_events_total, topology)"}
_WIDTH, _HEIGHT, _TOP_HEIGHT = 24, 8, 4


@dataclass(frozen=True, slots=True)
class Query:
    """``expr`` in PromQL; ``legend`` as Grafana writes it (``{{stage}}``)."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``unit`` is Grafana's; ``figure``: one number instead of a curve.

    ``sql``: instead of ``queries``, a statement to ClickHouse; ``rows`` shows what it gives as a table, else as curves.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...] = ()
    figure: bool = False
    sql: str = ""
    rows: bool = False


@dataclass(frozen=True, slots=True)
class Statement(Dataquery, Builder["Statement"]):
    """A query of the ClickHouse plug-in, which the SDK does not know. ``rows``: a table, else curves over time."""

    sql: str
    rows: bool

    def build(self) -> Statement:
        """Itself."""
        return self

    def to_json(self) -> dict[str, object]:
        """As the plug-in reads it."""
        shape = {"queryType": "table", "format": 1} if self.rows else {"queryType": "timeseries", "format": 0}
        return {"refId": "A", "editorType": "sql", "rawSql": self.sql, **shape}


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside each other."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. ``variables``: name -> the query that gives its values. ``page``: of mevflow's own pages."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    page: str = ""
    variables: dict[str, str] = field(
        default_factory=lambda: {"topology": "label_values(mevflow_events_total, topology)"}
    )

    def document(self) -> dict[str, Any]:
        """As Grafana imports it."""
        made = dashboard.Dashboard(self.title).uid(self.uid).description(self.description).tags(["mevflow"])
        made = made.time("now-1h", "now").refresh("10s").timezone("utc").readonly()
        made = made.with_variable(dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source"))
        if any(panel.sql for row in self.rows for panel in row.panels):
            tables = dashboard.DatasourceVariable("clickhouse").type(str(TABLES.type_val)).label("ClickHouse")
            made = made.with_variable(tables)
        variables = {"environment": "label_values(mevflow_build_info, environment)", **self.variables}
        for name, query in variables.items():
            made = made.with_variable(_variable(name, query))
        for annotation in _annotations():
            made = made.annotation(annotation)
        others = dashboard.DashboardLink("mevflow").type(DashboardLinkType.DASHBOARDS).tags(["mevflow"])
        made = made.link(others.as_dropdown(True).keep_time(True))
        link = dashboard.DashboardLink("Dashboard page").type(DashboardLinkType.LINK)
        made = made.link(
            link.url(f"http://127.0.0.1:8001/{self.page}").tooltip("mevflow's own page").icon("external link")
        )
        number, top = 1, 0
        for index, row in enumerate(self.rows):
            made = made.with_row(dashboard.Row(row.title).id(number).grid_pos(_at(0, top, _WIDTH, 1)))
            number, top = number + 1, top + 1
            height = _TOP_HEIGHT if index == 0 else _HEIGHT
            width = _WIDTH // len(row.panels)
            for place, panel in enumerate(row.panels):
                made = made.with_panel(_panel(panel).id(number).grid_pos(_at(place * width, top, width, height)))
                number += 1
            top += height
        return dict(json.loads(JSONEncoder(sort_keys=True).encode(made.build())))


def figure(title: str, description: str, unit: str, expr: str) -> Panel:
    """A panel with one number."""
    return Panel(title, description, unit, (Query(expr, title),), figure=True)


def curves(title: str, description: str, unit: str, *queries: tuple[str, str]) -> Panel:
    """A panel of curves: (expression, legend)."""
    return Panel(title, description, unit, tuple(Query(*query) for query in queries))


def rows_of(title: str, description: str, sql: str) -> Panel:
    """A panel with the rows that a statement gives."""
    return Panel(title, description, "none", sql=sql, rows=True)


def curves_of(title: str, description: str, unit: str, sql: str) -> Panel:
    """A panel of curves from a statement: a time, a name for each curve, a value."""
    return Panel(title, description, unit, sql=sql)


def _panel(panel: Panel) -> Any:
    if panel.sql:
        shown: Any = table.Panel() if panel.rows else timeseries.Panel().fill_opacity(5).line_width(1)
        shown = shown.title(panel.title).description(panel.description).unit(panel.unit).datasource(TABLES)
        return shown.with_target(Statement(panel.sql, panel.rows))
    made: Any = stat.Panel() if panel.figure else timeseries.Panel().fill_opacity(5).line_width(1)
    if not panel.figure:
        legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
        made = made.legend(legend.show_legend(True).calcs(["lastNotNull", "max"]))
    made = made.title(panel.title).description(panel.description).unit(panel.unit).datasource(SOURCE)
    for place, query in enumerate(panel.queries):
        made = made.with_target(
            prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + place))
        )
    return made


def _variable(name: str, query: str) -> Any:
    made = dashboard.QueryVariable(name).query(query).datasource(SOURCE).label(name.capitalize())
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).include_all(True).all_value(".*").multi(True)


def _annotations() -> Iterator[Any]:
    """When processes started, and when shards answered commands."""
    for name, expr, color in (
        ("Deployments", "time() - mevflow_process_start_time_seconds < 60", "blue"),
        ("Commands", "sum by (topology) (increase(mevflow_command_answers_total[1m])) > 0", "orange"),
    ):
        yield dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(color).expr(expr)


def _at(x: int, y: int, width: int, height: int) -> Any:
    from grafana_foundation_sdk.models.dashboard import GridPos

    return GridPos(h=height, w=width, x=x, y=y)
