"""The environment over the file, group by group; what is wrong is told by its name, never by its value."""

import pytest
from pydantic import ValidationError

from mevflow.flows.config import Config, config
from mevflow.flows.config_sources import from_toml, from_variables, merged
from mevflow.operators.errors import UsageError


def _read(**variables):
    return Config.model_validate(from_variables(Config, "MEVFLOW_", variables))


def test_variables_name_fields_and_fields_of_groups():
    read = _read(MEVFLOW_KAFKA__BOOTSTRAP="b:1", mevflow_var="there", MEVFLOW_METRICS__ENABLED="false", OTHER="x")
    assert (read.kafka.bootstrap, str(read.var), read.metrics.enabled) == ("b:1", "there", False)


def test_groups_lists_and_mappings_are_json_and_single_fields_come_after():
    read = _read(
        MEVFLOW_KAFKA='{"bootstrap": "b:1", "heap_mb": 5}',
        MEVFLOW_KAFKA__HEAP_MB="7",
        MEVFLOW_CONTROL__ORIGINS='["a", "b"]',
        MEVFLOW_RETENTION__TABLES='{"swaps": 3, "pools": 4}',
        MEVFLOW_RETENTION__TABLES__SWAPS="9",
    )
    assert (read.kafka.bootstrap, read.kafka.heap_mb) == ("b:1", 7)
    assert read.control.origins == ("a", "b")
    assert read.retention.tables == {"swaps": 9, "pools": 4}


def test_what_is_no_setting_is_left_alone_and_what_is_no_field_of_a_group_is_refused():
    assert _read(MEVFLOW_FAIL_POINT="sink stored", MEVFLOW_VAR__X="1") == Config()
    with pytest.raises(ValidationError, match=r"kafka\.bootstrp"):
        _read(MEVFLOW_KAFKA__BOOTSTRP="b:1")


@pytest.mark.parametrize("name", ["MEVFLOW_KAFKA", "MEVFLOW_CONTROL__ORIGINS"])
def test_what_should_be_json_is_named_and_not_quoted(name):
    with pytest.raises(UsageError) as caught:
        _read(**{name: "hunter2"})
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_below_the_environment(tmp_path, monkeypatch):
    (tmp_path / "mevflow.toml").write_text('[kafka]\nbootstrap = "file:1"\nheap_mb = 5\n[control]\nport = 3\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEVFLOW_KAFKA__HEAP_MB", "6")
    config.cache_clear()
    try:
        read = config()
        assert (read.kafka.bootstrap, read.kafka.heap_mb, read.control.port) == ("file:1", 6, 3)
        (tmp_path / "mevflow.toml").write_text("[kafka\n")
        config.cache_clear()
        with pytest.raises(UsageError, match=r"mevflow\.toml"):
            config()
    finally:
        config.cache_clear()


def test_no_file_says_nothing(tmp_path):
    assert from_toml(tmp_path / "mevflow.toml") == {}


def test_trees_are_merged_leaf_by_leaf():
    below = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert merged(below, {"a": {"c": 4}, "f": {"g": 5}}) == {"a": {"b": 1, "c": 4}, "e": 3, "f": {"g": 5}}
    assert below == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
