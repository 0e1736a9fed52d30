"""What the engine's one user may do, as the configuration files that the engine reads.

It may do all that its own tables need. It may not reach other servers, make dictionaries (their sources are commands
and addresses), back up, name collections, or use engines that keep their rows elsewhere; nor set what names a file for
a format to read. ``FILE`` stays, for ``input()`` is read from one: which files there are is the process's own bound
(:mod:`mevflow.processes.confined`).
"""

from __future__ import annotations

from pathlib import Path

_RIGHTS = (
    *("CHECK", "SHOW", "SELECT", "INSERT", "ALTER", "CREATE DATABASE", "CREATE TABLE", "CREATE VIEW", "DROP"),
    *("CREATE FUNCTION", "CREATE TEMPORARY TABLE", "CREATE ARBITRARY TEMPORARY TABLE", "UNDROP TABLE", "TRUNCATE"),
    *("OPTIMIZE", "KILL QUERY", "KILL TRANSACTION", "MOVE PARTITION BETWEEN SHARDS", "SYSTEM", "dictGet"),
)
_ENGINES = (
    *("MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CollapsingMergeTree"),
    *("VersionedCollapsingMergeTree", "CoalescingMergeTree", "GraphiteMergeTree", "Memory", "Log", "TinyLog"),
    *("StripeLog", "Null", "Set", "Join", "Buffer", "Merge", "View", "MaterializedView", "GenerateRandom"),
)
#: Settings that name a file or an address for a format, or show the process's memory.
_FIXED = (
    *("format_schema", "format_schema_source", "format_template_row", "format_template_resultset"),
    *("format_avro_schema_registry_url", "allow_introspection_functions"),
)


def written(path: Path) -> Path:
    """Write the configuration beside the data of ``path``; gives its file."""
    config, users = path / "engine.xml", path / "engine-users.xml"
    nothing = path / "none"  # there is no such folder
    config.write_text(
        f"""<clickhouse>
<logger><level>warning</level></logger>
<users_config>{_text(users)}</users_config>
<user_files_path>{_text(nothing)}/</user_files_path>
<user_scripts_path>{_text(nothing)}/</user_scripts_path>
<format_schema_path>{_text(nothing)}/</format_schema_path>
<tmp_path>{_text(path)}/data/tmp/</tmp_path>
<access_control_improvements><table_engines_require_grant>true</table_engines_require_grant></access_control_improvements>
</clickhouse>
"""
    )
    grants = [f"GRANT {', '.join(_RIGHTS)} ON *.*", "GRANT READ ON FILE", "GRANT SET DEFINER ON *"]
    grants += [f"GRANT TABLE ENGINE ON {engine}" for engine in _ENGINES]
    fixed = "".join(f"<{name}><readonly/></{name}>" for name in _FIXED)
    users.write_text(
        f"""<clickhouse>
<profiles><default><constraints>{fixed}</constraints></default></profiles>
<quotas><default/></quotas>
<users><default>
<password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants>{"".join(f"<query>{grant}</query>" for grant in grants)}</grants>
</default></users>
</clickhouse>
"""
    )
    return config


def _text(path: Path) -> str:
    return str(path).replace("&", "&amp;").replace("<", "&lt;")
