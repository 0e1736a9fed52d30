"""Protobuf messages as Arrow columns and back, without a Python object a message.

A batch in flight is a message's columns (as ptars lays them out: bytes as ``binary``, enums as ``int32``,
128-bit amounts as 16-byte ``binary``) followed by the coordinates of the Kafka record that each row comes from.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

import ptars
import pyarrow as pa
from google.protobuf import message_factory
from google.protobuf.message import Message

from mevflow.operators.errors import UsageError
from mevflow.v1 import control_pb2, dead_letter_pb2, decision_pb2, market_pb2, realtime_pb2

if TYPE_CHECKING:
    from mevflow.operators.plain_wire import PlainWire

FILES = [module.DESCRIPTOR for module in (market_pb2, decision_pb2, control_pb2, realtime_pb2, dead_letter_pb2)]

#: Where a row comes from. Constant columns, so the topic is dictionary-encoded.
COORDINATES = pa.schema(
    [
        pa.field("source_topic", pa.dictionary(pa.int8(), pa.utf8())),
        pa.field("source_partition", pa.int32()),
        pa.field("source_offset", pa.int64()),
    ]
)

#: What a source emits: undecoded values with their coordinates. ``timestamp_us`` is the record's (chain time).
RAW = pa.schema(
    [
        pa.field("value", pa.binary()),
        pa.field("timestamp_us", pa.int64()),
        *COORDINATES,
    ]
)

_UNREADABLE = b"unreadable"
#: From so many rows on the compiled reader is faster, its calls column by column included.
_MANY = 512


def unreadable_row(topic: str, partition: int, offset: int, timestamp_us: int, why: str) -> pa.RecordBatch:
    """One row without bytes that stands for records from ``offset`` on which could not be read, and ``why``."""
    names = pa.array([topic], pa.utf8()).dictionary_encode().cast(RAW.field("source_topic").type)
    columns = [
        pa.array([b""], pa.binary()),
        pa.array([timestamp_us], pa.int64()),
        names,
        pa.array([partition], pa.int32()),
        pa.array([offset], pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=RAW.with_metadata({_UNREADABLE: why.encode()}))


def unreadable(batch: pa.RecordBatch) -> str | None:
    """Why the records that a RAW batch stands for could not be read; None for a batch of values."""
    why = (batch.schema.metadata or {}).get(_UNREADABLE)
    return None if why is None else why.decode()


class Codec:
    """One message type's columns. ``schema`` has the message's own fields only."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.message: type[Message] = message_type(name)
        pool = ptars.HandlerPool(FILES)
        self._handler = pool.get_for_message(self.message.DESCRIPTOR)
        columns: pa.Schema = self._handler.list_to_record_batch([]).schema
        #: The message's own columns; the metadata names the message, so that a sink knows what it gets.
        self.schema: pa.Schema = columns.with_metadata({b"message": name.encode()})
        #: The message's columns followed by COORDINATES: what flows between stages.
        self.located: pa.Schema = pa.schema([*columns, *COORDINATES], metadata=self.schema.metadata)

    def decode(self, values: pa.BinaryArray) -> pa.RecordBatch:
        """Decode serialized messages. Raises ValueError when any one of them is malformed."""
        if len(values) >= _MANY and self._plain is not None and (columns := self._plain.decode(values)) is not None:
            return pa.RecordBatch.from_arrays(list(columns), schema=self.schema)
        return self._handler.array_to_record_batch(values).replace_schema_metadata(self.schema.metadata)

    def prepare(self) -> bool:
        """Load what decodes a stream now, not with its first batch; gives whether that is compiled."""
        return self._plain is not None

    @cached_property
    def _plain(self) -> PlainWire | None:
        """The compiled reader, for a message that it can read. Loaded when a stream is decoded: a command that looks at
        a few messages must not wait for the compiler."""
        from mevflow.operators.plain_wire import PlainWire

        return PlainWire(self.message, self.schema) if PlainWire.fits(self.message) else None

    def encode(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Serialize the message's columns of ``batch``; other columns are left out."""
        return self._handler.record_batch_to_array(batch.select(self.schema.names))


@cache
def codec(name: str) -> Codec:
    """The codec of a message by its full name, e.g. ``mevflow.v1.Swap``. Raises UsageError if unknown."""
    return Codec(name)


def message_type(name: str) -> type[Message]:
    """The generated class of a message by its full name. Raises UsageError if unknown."""
    for file in FILES:
        for short, descriptor in file.message_types_by_name.items():
            if f"{file.package}.{short}" == name:
                return message_factory.GetMessageClass(descriptor)
    known = sorted(f"{file.package}.{short}" for file in FILES for short in file.message_types_by_name)
    raise UsageError(f"unknown message {name!r}", hint=f"one of {', '.join(known)}", key="message")


#: The schema of every ``errors`` port.
ERRORS: pa.Schema = codec("mevflow.v1.DeadLetter").schema
