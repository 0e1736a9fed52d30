from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RealtimeMessage(_message.Message):
    __slots__ = ("channel", "payload", "pool", "timestamp_us", "type")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    channel: str
    payload: bytes
    pool: bytes
    timestamp_us: int
    type: str
    def __init__(self, channel: _Optional[str] = ..., payload: _Optional[bytes] = ..., pool: _Optional[bytes] = ..., timestamp_us: _Optional[int] = ..., type: _Optional[str] = ...) -> None: ...

class RealtimeBatch(_message.Message):
    __slots__ = ("sequence", "messages", "dropped", "dropped_total")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    messages: _containers.RepeatedCompositeFieldContainer[RealtimeMessage]
    dropped: int
    dropped_total: int
    def __init__(self, sequence: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[RealtimeMessage, _Mapping]]] = ..., dropped: _Optional[int] = ..., dropped_total: _Optional[int] = ...) -> None: ...

class Subscribe(_message.Message):
    __slots__ = ("channels", "pools")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedScalarFieldContainer[str]
    pools: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, channels: _Optional[_Iterable[str]] = ..., pools: _Optional[_Iterable[bytes]] = ...) -> None: ...
