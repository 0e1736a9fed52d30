from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ControlCommand(_message.Message):
    __slots__ = ("command_id", "topology", "kind", "target", "version", "nonce", "issuer", "issued_at_us", "expires_at_us", "spec_hash", "payload", "reason", "rolled_back_from")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_US_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    SPEC_HASH_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_FROM_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    topology: str
    kind: str
    target: str
    version: int
    nonce: bytes
    issuer: str
    issued_at_us: int
    expires_at_us: int
    spec_hash: bytes
    payload: bytes
    reason: str
    rolled_back_from: str
    def __init__(self, command_id: _Optional[str] = ..., topology: _Optional[str] = ..., kind: _Optional[str] = ..., target: _Optional[str] = ..., version: _Optional[int] = ..., nonce: _Optional[bytes] = ..., issuer: _Optional[str] = ..., issued_at_us: _Optional[int] = ..., expires_at_us: _Optional[int] = ..., spec_hash: _Optional[bytes] = ..., payload: _Optional[bytes] = ..., reason: _Optional[str] = ..., rolled_back_from: _Optional[str] = ...) -> None: ...

class ControlAck(_message.Message):
    __slots__ = ("command_id", "topology", "shard", "run_id", "version", "nonce", "status", "reason", "detail", "topic", "partition", "offset", "timestamp_us", "stage")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[ControlAck.Status]
        APPLIED: _ClassVar[ControlAck.Status]
        REJECTED: _ClassVar[ControlAck.Status]
        STALE: _ClassVar[ControlAck.Status]
        DUPLICATE: _ClassVar[ControlAck.Status]
    STATUS_UNSPECIFIED: ControlAck.Status
    APPLIED: ControlAck.Status
    REJECTED: ControlAck.Status
    STALE: ControlAck.Status
    DUPLICATE: ControlAck.Status
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    topology: str
    shard: int
    run_id: str
    version: int
    nonce: bytes
    status: ControlAck.Status
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp_us: int
    stage: str
    def __init__(self, command_id: _Optional[str] = ..., topology: _Optional[str] = ..., shard: _Optional[int] = ..., run_id: _Optional[str] = ..., version: _Optional[int] = ..., nonce: _Optional[bytes] = ..., status: _Optional[_Union[ControlAck.Status, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., stage: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("topology", "shard", "run_id", "timestamp_us", "policy_version", "messages", "lag", "spec_hash", "stopping", "killed", "paused", "shards", "pulse_age_ms")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    SPEC_HASH_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    KILLED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    PULSE_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    topology: str
    shard: int
    run_id: str
    timestamp_us: int
    policy_version: int
    messages: int
    lag: int
    spec_hash: str
    stopping: bool
    killed: bool
    paused: bool
    shards: int
    pulse_age_ms: int
    def __init__(self, topology: _Optional[str] = ..., shard: _Optional[int] = ..., run_id: _Optional[str] = ..., timestamp_us: _Optional[int] = ..., policy_version: _Optional[int] = ..., messages: _Optional[int] = ..., lag: _Optional[int] = ..., spec_hash: _Optional[str] = ..., stopping: _Optional[bool] = ..., killed: _Optional[bool] = ..., paused: _Optional[bool] = ..., shards: _Optional[int] = ..., pulse_age_ms: _Optional[int] = ...) -> None: ...

class ControlAudit(_message.Message):
    __slots__ = ("timestamp_us", "call_id", "identity", "role", "peer", "method", "topology", "target", "status", "detail", "command_id", "version", "request", "reason", "idempotency_key", "request_hash", "command", "outcome")
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HASH_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    timestamp_us: int
    call_id: str
    identity: str
    role: str
    peer: str
    method: str
    topology: str
    target: str
    status: str
    detail: str
    command_id: str
    version: int
    request: bytes
    reason: str
    idempotency_key: str
    request_hash: bytes
    command: bytes
    outcome: str
    def __init__(self, timestamp_us: _Optional[int] = ..., call_id: _Optional[str] = ..., identity: _Optional[str] = ..., role: _Optional[str] = ..., peer: _Optional[str] = ..., method: _Optional[str] = ..., topology: _Optional[str] = ..., target: _Optional[str] = ..., status: _Optional[str] = ..., detail: _Optional[str] = ..., command_id: _Optional[str] = ..., version: _Optional[int] = ..., request: _Optional[bytes] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., request_hash: _Optional[bytes] = ..., command: _Optional[bytes] = ..., outcome: _Optional[str] = ...) -> None: ...
