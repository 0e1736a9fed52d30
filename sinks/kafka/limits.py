"""What a topic takes: the largest record, asked of the broker, and which rows are beyond it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mevflow.operators.codec import ERRORS, codec

#: Bytes of a record batch and of its one record besides key and value, at most.
_FRAME_BYTES = 256
#: What a broker takes when it does not say (``max.message.bytes`` of Kafka).
_DEFAULT_BYTES = 1_048_588
#: What librdkafka can be set to.
_LEAST, _MOST = 1_000, 1_000_000_000
_LETTER = codec("mevflow.v1.DeadLetter")


def record_limit(admin: Any, topic: str, seconds: float) -> int:
    """Bytes of key and value that a record of ``topic`` may have; Kafka's default where the broker does not tell."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import ConfigResource

    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        found = admin.describe_configs([resource], request_timeout=seconds)[resource].result(seconds)
        limit = int(found["max.message.bytes"].value)
    except (KafkaException, KeyError, TypeError, ValueError, TimeoutError):
        limit = _DEFAULT_BYTES
    return max(1, limit - _FRAME_BYTES)


def producer_limits(limit: int) -> dict[str, int]:
    """Producer settings, so that neither a record nor a batch is beyond what the topic takes."""
    whole = limit + _FRAME_BYTES
    return {
        "message.max.bytes": min(max(whole, _LEAST), _MOST),
        "batch.size": max(1, min(65_536, whole)),
        # A record that the send buffer cannot hold would wait for ever.
        "queue.buffering.max.kbytes": min(max(65_536, whole >> 9), 2_097_151),
    }


def beyond(values: pa.BinaryArray, keys: pa.BinaryArray | None, limit: int) -> NDArray[np.bool_] | None:
    """A mask of the rows whose key and value are more than ``limit`` bytes; None when there is none."""
    sizes = pc.fill_null(pc.binary_length(values), 0).to_numpy().astype(np.int64)
    if keys is not None:
        sizes = sizes + pc.fill_null(pc.binary_length(keys), 0).to_numpy()
    mask: NDArray[np.bool_] = sizes > limit
    return mask if mask.any() else None


def cut(letters: pa.RecordBatch, values: pa.BinaryArray, limit: int) -> pa.BinaryArray:
    """Dead letters, encoded as ``values``: the same with none of more than ``limit`` bytes.

    A payload that is too long keeps its first bytes, its whole size and the SHA-256 of the whole. The whole is where
    the letter's coordinates say; ``mevflow dlq show`` and ``replay`` read it there.
    """
    mask = beyond(values, None, limit)
    if mask is None:
        return values
    rows = letters.to_pylist()
    for at in np.flatnonzero(mask).tolist():
        row = rows[at]
        if not row["size"]:
            row |= {"size": len(row["payload"]), "sha256": hashlib.sha256(row["payload"]).digest()}
        # Tags and lengths of twelve fields are within 100 bytes; the texts come first, the payload takes what is left.
        row["detail"] = _clip(row["detail"], limit // 4)
        for name in ("topic", "topology", "run_id", "stage", "reason"):
            row[name] = _clip(row[name], limit // 12)
        texts = sum(len(row[name].encode()) for name in ("topic", "topology", "run_id", "stage", "reason", "detail"))
        row["payload"] = row["payload"][: max(0, limit - texts - len(row["sha256"]) - 100)]
    return _LETTER.encode(pa.RecordBatch.from_pylist(rows, schema=ERRORS))


def _clip(text: str, size: int) -> str:
    """The beginning of ``text``, of at most ``size`` bytes."""
    return text if len(text) * 4 <= size else text.encode()[:size].decode(errors="ignore")
