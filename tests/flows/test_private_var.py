"""Everything that a running engine or broker keeps below ``var`` is its owner's alone."""

import stat

from mevflow.clickhouse.client import connect


def open_to_others(folder):
    """What group or others could look at (sockets and links have no rights of their own)."""
    return [
        f"{stat.filemode(found.st_mode)} {path}"
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and (found := path.stat()).st_mode & 0o077
    ]


def test_clickhouse_keeps_its_files_to_itself(clickhouse_server):
    client = connect(clickhouse_server.host, clickhouse_server.port)
    client.command("CREATE TABLE IF NOT EXISTS private (a Int8) ENGINE = MergeTree ORDER BY a")
    client.command("INSERT INTO private VALUES (1)")
    client.command("DROP TABLE private")
    client.close()
    assert not open_to_others(clickhouse_server.var / "clickhouse")


def test_the_broker_keeps_its_files_to_itself(make_topic, tmp_path_factory):
    make_topic()
    homes = [home for home in tmp_path_factory.getbasetemp().glob("kafka-var*/kafka") if not home.parent.is_symlink()]
    assert homes
    assert not [found for home in homes for found in open_to_others(home)]
