"""``docs/metrics.md`` from the catalogue: ``python -m mevflow.metrics.document docs/metrics.md``."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from mevflow.metrics.catalogue import BOUNDS, CATALOGUE, EVERY

_HEAD = """# Metrics

<!-- Written by `python -m mevflow.metrics.document docs/metrics.md` from mevflow/metrics/catalogue.py. -->

Every process serves `/metrics` in OpenMetrics, on 127.0.0.1 and a free port unless the configuration says otherwise
(`MEVFLOW_METRICS__HOST`, `MEVFLOW_METRICS__PORT`, `MEVFLOW_METRICS__ENABLED=false`). Prometheus finds them all by
`var/prometheus/targets.json` (`file_sd_configs`), people by `mevflow status NAME` and `mevflow hub status`.
A supervisor has `/shards` too: the metrics of all its shards on one page, for where only one port can be reached.
A replay serves none. [operate.md](operate.md) sets up Prometheus, [runbook.md](runbook.md) says what to do about
alerts.

A page is put together when it is asked for, from counts that the process keeps a batch at a time, so nothing is on
the way of a message. Processor time on one core: 14 us for a source's batch of 20,000 rows (which takes the shard 37
ms at 540,000 messages/s), 0.5 us for a batch into a stage, 38 us for a batch with decisions, 8 ms for a scrape of a
shard with sixteen stages: 0.3 % of a core when it is scraped every 5 s. Histograms are classic ones (buckets `le`),
which every Prometheus reads. A label never holds an id; where a plug-in invents more than 64 reasons or arms, the
rest is `other`. Metrics of a shard also have the labels `topology` and `shard`, those of a supervisor `topology`.

Only what a process really knows is told. A shard without a `kafka.sink` has no `mevflow_kafka_…`. There is no metric
of regret: what another arm would have earned is an estimate, which `mev_counterfactuals` keeps with its estimator. How
many decisions got an outcome is `mevflow_outcomes_total` over `mevflow_decisions_total`. The embedded broker has no
exporter.
"""


def document() -> str:
    """The page."""
    lines = [_HEAD]
    for title, process in (("Every process", EVERY), *((each.capitalize(), (each,)) for each in EVERY)):
        found = [m for m in CATALOGUE.values() if (m.processes == EVERY) == (process is EVERY)]
        found = [m for m in found if process is EVERY or process[0] in m.processes]
        lines += [f"## {title}", "", "| metric | kind | labels | what |", "|---|---|---|---|"]
        for metric in found:
            name = metric.series[0] if metric.kind != "histogram" else metric.name
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            lines.append(f"| `{name}` | {metric.kind} | {labels} | {metric.help} |")
        lines.append("")
    lines += ["## Buckets", ""]
    for bounds in dict.fromkeys(BOUNDS.values()):
        names = ", ".join(f"`{name}`" for name, each in BOUNDS.items() if each == bounds)
        item = f"- {', '.join(f'{bound:g}' for bound in bounds)}: {names}"
        lines += textwrap.wrap(item, 120, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document())
