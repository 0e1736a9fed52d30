"""The peers in Java: what runs them, what is said where they cannot be built, whose figures count."""

import sys

import pytest

from mevflow.bench.contender import Told, contend
from mevflow.bench.peers import contest, java_build
from mevflow.cli import main


def test_an_engine_is_run_with_two_gigabytes_over_the_whole_topic(tmp_path):
    command = java_build.command(tmp_path, "flink-keyed", "127.0.0.1:9092", "swaps", 3_000_000, 8123)
    assert {"-Xmx2048m", "-XX:+UseParallelGC", f"{tmp_path}/peers.jar:{tmp_path}/jars/*"} <= set(command)
    assert command[-6:] == ["mevflow.peers.Main", "flink-keyed", "127.0.0.1:9092", "swaps", "3000000", "8123"]


def test_every_engine_of_the_bench_is_in_the_sources():
    main = (java_build.SOURCES / "src" / "mevflow" / "peers" / "Main.java").read_text()
    assert all(f'"{engine}", new ' in main for engine in contest.ENGINES)


@pytest.mark.parametrize("missing", ["javac", "mvn"])
def test_without_a_compiler_or_maven_it_says_what_to_install(tmp_path, monkeypatch, capsys, missing):
    for tool in {"javac", "mvn"} - {missing}:
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["bench", "peers"])
    assert ended.value.code == 4
    said = capsys.readouterr().err
    assert f"there is no {missing} on PATH" in said
    assert "apt-get install openjdk-17-jdk-headless maven" in said


def python(code):
    return [sys.executable, "-c", code]


def test_a_contender_tells_a_line_a_pass():
    line = 'print(\'{"messages": 10, "seconds": 2, "rows": 3, "pass": "warm"}\')'
    assert contend("one", python(f"print('starting'); {line}; {line}"), passes=2) == [Told(10, 2, 3)] * 2
    assert contend("one", python(line))[0].rate == 5


@pytest.mark.parametrize("code", ["", "print('{')", "import sys; sys.exit('no memory')"])
def test_a_contender_that_tells_no_figure_is_named_with_what_it_said(code):
    with pytest.raises(RuntimeError, match=r"^one ended with code .* and told no figure"):
        contend("one", python(code))


@pytest.mark.parametrize(("rows", "fair"), [(1_000, True), (951, True), (949, False), (1_051, False), (None, False)])
def test_who_makes_other_rows_has_no_figure(rows, fair):
    passes, reference = (Told(10, 1.0, 1_000), Told(10, 1.0, rows)), Told(10, 1.0, 1_000)
    if fair:
        contest.check_rows("Flink", passes, reference)
    else:
        with pytest.raises(RuntimeError, match=f"Flink made {rows} rows, the job in Python 1000"):
            contest.check_rows("Flink", passes, reference)
