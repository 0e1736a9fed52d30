"""A plug-in as a user would write one: a counting source, a summing stage, a file sink; used by several tests.

``install`` makes it a distribution with entry points in a folder, as ``pip install`` would.
"""

import os
import time
from pathlib import Path

import msgspec
import pyarrow as pa

from mevflow.operators.errors import StateError
from mevflow.operators.stage import CAUGHT_UP_US, Ack, Settings, Stage, Watermark
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Poll, Source

NUMBERS = pa.schema([("n", pa.int64()), ("timestamp_us", pa.int64())], metadata={b"message": b"test.Number"})
SUMS = pa.schema([*NUMBERS, ("sum", pa.int64())], metadata={b"message": b"test.Sum"})
ENTRY_POINTS = """\
[mevflow.stages]
test.count = tests.flows.plugin:Count
test.sum = tests.flows.plugin:Sum
test.odd = tests.flows.plugin:Odd
test.file = tests.flows.plugin:File
"""


def install(folder: Path) -> None:
    info = folder / "mevflow_test_plugin-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mevflow-test-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)


class CountSettings(Settings):
    stop: int = 0  # 0: never
    rows: int = 10
    pause_s: float = 0.0
    idle_after: int = 0  # 0: never


class Count(Source[CountSettings]):
    use = "test.count"
    summary = "Whole numbers"
    settings_type = CountSettings

    @classmethod
    def output_schemas(cls, settings):
        return {"out": NUMBERS}

    def open(self, state):
        self._next = msgspec.json.decode(state) if state else 0

    def poll(self):
        if self.settings.stop and self._next >= self.settings.stop:
            return Poll(watermark=Watermark(CAUGHT_UP_US, final=True), ended=True)
        time.sleep(self.settings.pause_s)
        if self.settings.idle_after and self._next >= self.settings.idle_after:
            return Poll()
        values = pa.array(range(self._next, self._next + self.settings.rows), pa.int64())
        self._next += self.settings.rows
        return Poll([("out", pa.RecordBatch.from_arrays([values, values], schema=NUMBERS))], Watermark(self._next))

    def snapshot(self):
        return msgspec.json.encode(self._next)


class SumSettings(Settings):
    die_at: int = -1
    die_file: str = ""
    abort: bool = False


class Sum(Stage[SumSettings]):
    use = "test.sum"
    summary = "Running sums"
    settings_type = SumSettings

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self._sum = 0

    @classmethod
    def input_schemas(cls, settings):
        return {"in": NUMBERS}

    @classmethod
    def output_schemas(cls, settings):
        return {"out": SUMS}

    def process(self, port, batch):
        sums = []
        for n in batch.column("n").to_pylist():
            if n == self.settings.die_at and self.settings.abort:
                os.abort()
            if n == self.settings.die_at and not Path(self.settings.die_file).exists():
                Path(self.settings.die_file).touch()
                os._exit(9)
            self._sum += n
            sums.append(self._sum)
        yield "out", pa.RecordBatch.from_arrays([*batch.columns, pa.array(sums, pa.int64())], schema=SUMS)

    def on_control(self, command):
        return Ack("REJECTED", "UNKNOWN_KIND")

    def snapshot(self):
        return msgspec.json.encode(self._sum)

    def restore(self, state):
        self._sum = msgspec.json.decode(state)


class Odd(Sum):
    """A sum whose snapshots have another form."""

    use = "test.odd"

    def restore(self, state):
        raise StateError("a snapshot of another form")


class FileSettings(Settings):
    path: Path


class File(Sink[FileSettings]):
    """Appends lines; on a restart cuts back to what was durable."""

    use = "test.file"
    summary = "Lines in a file"
    settings_type = FileSettings

    def open(self, state):
        size = msgspec.json.decode(state) if state else 0
        self._file = self.settings.path.open("ab")
        self._file.truncate(size)

    def write(self, batch):
        for row in batch.to_pylist():
            self._file.write(b"%d %d\n" % (row["n"], row["sum"]))

    def snapshot(self):
        self._file.flush()
        return msgspec.json.encode(self._file.tell())

    def close(self):
        self._file.close()
