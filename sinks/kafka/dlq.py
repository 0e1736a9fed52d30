"""``dlq.sink``: messages that could not be processed, kept on a topic with all that is needed to send them again."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from mevflow.operators.codec import ERRORS
from mevflow.operators.stage import Settings
from mevflow.sinks.kafka.sink import KafkaSinkSettings, LetterSink


class DeadLetterSettings(KafkaSinkSettings):
    """As ``kafka.sink``; the topic is ``dlq`` unless another is named."""

    topic: str = "dlq"


class DeadLetterSink(LetterSink):
    """Rows of ``errors`` ports. ``mevflow dlq list|show|replay`` works on what it wrote.

    A letter larger than the topic takes is cut off: its beginning, its whole size and its hash are kept.
    """

    use = "dlq.sink"
    summary = "Dead letters to Kafka, with their coordinates, reason and raw bytes"
    settings_type = DeadLetterSettings

    @classmethod
    def input_schemas(cls, settings: Settings) -> Mapping[str, pa.Schema | None]:
        return {"in": ERRORS}

    @classmethod
    def accepts(cls, settings: Settings, message: str) -> bool:
        return message == "mevflow.v1.DeadLetter"
