"""The Grafana dashboards as code: ``python -m mevflow.ops.dashboards.write`` makes ``ops/grafana/*.json`` of them.

- :mod:`.panels`: a panel, a row of panels, a dashboard with its variables
- one module a dashboard
- :mod:`.lint`: what every dashboard must be
- :mod:`.write`: the files, and :data:`.write.ALL` dashboards
"""
