-- Rows and bytes on disk of every table of the current database.
SELECT name AS table, engine, total_rows AS rows, formatReadableSize(total_bytes) AS size
FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations'
ORDER BY name
