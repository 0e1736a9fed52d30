"""Fixtures that several rooms' tests share."""

pytest_plugins = ["tests.plugins.kafka", "tests.plugins.clickhouse"]
