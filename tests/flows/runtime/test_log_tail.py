"""The end of a log, and what came since: no line twice, none lost, none in halves."""

from mevflow.flows.runtime.log_tail import MAX_BYTES, tail


def texts(found):
    return [(line.shard, line.text) for line in found[0]]


def test_the_last_lines_of_each_shard_and_what_came_since(tmp_path):
    logs = [tmp_path / f"shard-{shard}.log" for shard in (0, 1)]
    logs[0].write_text("a\nb\nc\nhalf")
    logs[1].write_text("x\n")
    found = tail(tmp_path, lines=2)
    assert texts(found) == [(0, "b"), (0, "c"), (1, "x")]
    with logs[0].open("a") as log:
        log.write(" line\nd\n")
    found = tail(tmp_path, lines=10, after=found[1])
    assert texts(found) == [(0, "half line"), (0, "d")]
    assert texts(tail(tmp_path, lines=10, after=found[1])) == []
    logs[0].write_text("anew\n")
    assert texts(tail(tmp_path, lines=10, after=found[1])) == [(0, "anew")]


def test_a_text_one_shard_and_bounds(tmp_path):
    (tmp_path / "shard-0.log").write_text("Error one\nfine\nerror two\n")
    (tmp_path / "shard-1.log").write_bytes(b"\xff\n" + b"x" * 2 * MAX_BYTES + b"\nend\n")
    assert texts(tail(tmp_path, lines=10, text="ERROR")) == [
        (0, "Error one"),
        (0, "error two"),
    ]
    found = tail(tmp_path, lines=10, shard=1)
    assert texts(found)[-1] == (1, "end")
    assert sum(len(line.text) for line in found[0]) <= MAX_BYTES
    (tmp_path / "shard-x.log").write_text("none\n")
    assert {line.shard for line in tail(tmp_path, lines=10)[0]} == {0, 1}
