"""A plug-in whose stage can be steered: numbers in, numbers times a gain out, unless the kill switch is on."""

import time
from pathlib import Path

import msgspec
import pyarrow as pa

from mevflow.operators.codec import COORDINATES
from mevflow.operators.stage import Ack, Settings, Stage, Watermark
from mevflow.sinks.sink import Sink
from mevflow.sources.source import Poll, Source

NUMBERS = pa.schema(
    [("n", pa.int64()), ("timestamp_us", pa.int64()), *COORDINATES], metadata={b"message": b"test.Number"}
)
SCALED = pa.schema([("n", pa.int64()), ("scaled", pa.int64())], metadata={b"message": b"test.Scaled"})
ENTRY_POINTS = """\
[mevflow.stages]
steer.count = tests.flows.steering.steerable:Count
steer.gain = tests.flows.steering.steerable:Gain
steer.file = tests.flows.steering.steerable:File
"""


def install(folder: Path) -> None:
    info = folder / "mevflow_steerable-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mevflow-steerable\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)


class CountSettings(Settings):
    idle_file: str = ""  # while it exists there is nothing to count
    rows: int = 5


class Count(Source[CountSettings]):
    use = "steer.count"
    settings_type = CountSettings

    @classmethod
    def output_schemas(cls, settings):
        return {"out": NUMBERS}

    def open(self, state):
        self._next = msgspec.json.decode(state) if state else 0
        self._idle = False

    def poll(self):
        was, self._idle = self._idle, bool(self.settings.idle_file) and Path(self.settings.idle_file).exists()
        if self._idle:
            return Poll(watermark=None if was else Watermark(self._next))
        time.sleep(0.001)
        count = self.settings.rows
        n = pa.array(range(self._next, self._next + count), pa.int64())
        topic = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), pa.array(["numbers"]))
        columns = [n, n, topic, pa.array([3] * count, pa.int32()), n]
        self._next += count
        return Poll([("out", pa.RecordBatch.from_arrays(columns, schema=NUMBERS))], Watermark(self._next))

    def snapshot(self):
        return msgspec.json.encode(self._next)


class Gain(Stage):
    use = "steer.gain"

    def __init__(self, settings, context):
        super().__init__(settings, context)
        self._gain, self._off = 1, False

    @classmethod
    def input_schemas(cls, settings):
        return {"in": NUMBERS}

    @classmethod
    def output_schemas(cls, settings):
        return {"out": SCALED}

    def process(self, port, batch):
        if self._off or self.context.switch.off.everything:
            return
        n = batch.column("n")
        scaled = pa.array([v * self._gain for v in n.to_pylist()], pa.int64())
        yield "out", pa.RecordBatch.from_arrays([n, scaled], schema=SCALED)

    def on_control(self, command):
        if command.kind in ("kill", "release"):
            self._off = "" in msgspec.json.decode(command.payload)
            return Ack("APPLIED")
        if command.kind != "policy":
            return None
        gain = msgspec.json.decode(command.payload)["gain"]
        if not 0 <= gain <= 100:
            return Ack("REJECTED", "out_of_bounds", "gain is between 0 and 100")
        self._gain = gain
        return Ack("APPLIED")

    def snapshot(self):
        return msgspec.json.encode([self._gain, self._off])

    def restore(self, state):
        self._gain, self._off = msgspec.json.decode(state)


class FileSettings(Settings):
    path: Path


class File(Sink[FileSettings]):
    use = "steer.file"
    settings_type = FileSettings

    def open(self, state):
        self._file = self.settings.path.open("ab")

    def write(self, batch):
        now = time.time()
        for row in batch.to_pylist():
            self._file.write(b"%d %d %.6f\n" % (row["n"], row["scaled"], now))
        self._file.flush()

    def close(self):
        self._file.close()
