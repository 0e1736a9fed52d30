"""Golden hashes: the same for the same content, whatever the file, and another for any other content."""

import pyarrow as pa
import pyarrow.parquet as pq

from mevflow.flows.replay.golden import Golden, golden, load, save

ROWS = [
    {"slot": n, "id": b"%d" % n, "price": 1 / 3 + n, "source_offset": n, "legs": [{"pool": b"p"}]} for n in range(9)
]


def written(folder, rows, **options):
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "Opportunity.parquet", **options)
    return golden(folder)["Opportunity"]


def test_content_counts_and_the_file_does_not(tmp_path):
    one = written(tmp_path / "one", ROWS, compression="zstd")
    moved = [dict(reversed(row.items())) | {"source_offset": 99, "price": row["price"] * (1 + 1e-15)} for row in ROWS]
    assert written(tmp_path / "same", moved, compression="none") == one
    assert one.rows == 9
    for name, change in (("slot", 10), ("id", b"x"), ("price", 0.3333), ("legs", [])):
        assert written(tmp_path / name, [ROWS[0] | {name: change}, *ROWS[1:]]) != one
    assert written(tmp_path / "order", ROWS[::-1]) != one


def test_what_is_kept_is_read_back(tmp_path):
    found = {"Decision": Golden(3, "ab")}
    save(tmp_path / "g.json", found)
    assert load(tmp_path / "g.json") == found
