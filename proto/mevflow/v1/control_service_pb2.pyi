from mevflow.v1 import control_pb2 as _control_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Delivery(_message.Message):
    __slots__ = ("expected_version", "idempotency_key", "ttl_ms", "ack", "rollback", "wait_ms", "reason", "force")
    class AckPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACK_POLICY_UNSPECIFIED: _ClassVar[Delivery.AckPolicy]
        ALL: _ClassVar[Delivery.AckPolicy]
        QUORUM: _ClassVar[Delivery.AckPolicy]
        NONE: _ClassVar[Delivery.AckPolicy]
    ACK_POLICY_UNSPECIFIED: Delivery.AckPolicy
    ALL: Delivery.AckPolicy
    QUORUM: Delivery.AckPolicy
    NONE: Delivery.AckPolicy
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    expected_version: int
    idempotency_key: str
    ttl_ms: int
    ack: Delivery.AckPolicy
    rollback: bool
    wait_ms: int
    reason: str
    force: bool
    def __init__(self, expected_version: _Optional[int] = ..., idempotency_key: _Optional[str] = ..., ttl_ms: _Optional[int] = ..., ack: _Optional[_Union[Delivery.AckPolicy, str]] = ..., rollback: _Optional[bool] = ..., wait_ms: _Optional[int] = ..., reason: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class PolicyRequest(_message.Message):
    __slots__ = ("topology", "target", "kind", "payload")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    topology: str
    target: str
    kind: str
    payload: bytes
    def __init__(self, topology: _Optional[str] = ..., target: _Optional[str] = ..., kind: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("topology", "target", "payload", "delivery")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    topology: str
    target: str
    payload: bytes
    delivery: Delivery
    def __init__(self, topology: _Optional[str] = ..., target: _Optional[str] = ..., payload: _Optional[bytes] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("topology", "target", "kind", "to_version", "delivery")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TO_VERSION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    topology: str
    target: str
    kind: str
    to_version: int
    delivery: Delivery
    def __init__(self, topology: _Optional[str] = ..., target: _Optional[str] = ..., kind: _Optional[str] = ..., to_version: _Optional[int] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ...) -> None: ...

class SwapModelRequest(_message.Message):
    __slots__ = ("topology", "target", "payload", "delivery")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    topology: str
    target: str
    payload: bytes
    delivery: Delivery
    def __init__(self, topology: _Optional[str] = ..., target: _Optional[str] = ..., payload: _Optional[bytes] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ...) -> None: ...

class KillRequest(_message.Message):
    __slots__ = ("topology", "scope", "reason", "idempotency_key", "wait_ms")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    topology: str
    scope: str
    reason: str
    idempotency_key: str
    wait_ms: int
    def __init__(self, topology: _Optional[str] = ..., scope: _Optional[str] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("topology", "scope", "reason", "idempotency_key", "wait_ms")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    topology: str
    scope: str
    reason: str
    idempotency_key: str
    wait_ms: int
    def __init__(self, topology: _Optional[str] = ..., scope: _Optional[str] = ..., reason: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class ShardCommandRequest(_message.Message):
    __slots__ = ("topology", "kind", "level", "delivery")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    topology: str
    kind: str
    level: str
    delivery: Delivery
    def __init__(self, topology: _Optional[str] = ..., kind: _Optional[str] = ..., level: _Optional[str] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ...) -> None: ...

class ShardAnswer(_message.Message):
    __slots__ = ("topology", "shard", "stage", "status", "reason", "detail", "run_id", "topic", "partition", "offset", "timestamp_us", "late", "unexpected")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    UNEXPECTED_FIELD_NUMBER: _ClassVar[int]
    topology: str
    shard: int
    stage: str
    status: str
    reason: str
    detail: str
    run_id: str
    topic: str
    partition: int
    offset: int
    timestamp_us: int
    late: bool
    unexpected: bool
    def __init__(self, topology: _Optional[str] = ..., shard: _Optional[int] = ..., stage: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., run_id: _Optional[str] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., late: _Optional[bool] = ..., unexpected: _Optional[bool] = ...) -> None: ...

class CommandReply(_message.Message):
    __slots__ = ("command_id", "topology", "target", "kind", "version", "outcome", "answers", "expected", "applied", "rejected", "missing", "rolled_back_by", "rolled_back_from", "issuer", "issued_at_us", "reason", "payload", "offset", "replayed", "note", "expires_at_us")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[CommandReply.Outcome]
        PENDING: _ClassVar[CommandReply.Outcome]
        CONVERGED: _ClassVar[CommandReply.Outcome]
        PARTIAL: _ClassVar[CommandReply.Outcome]
        REJECTED: _ClassVar[CommandReply.Outcome]
        TIMED_OUT: _ClassVar[CommandReply.Outcome]
        ROLLED_BACK: _ClassVar[CommandReply.Outcome]
    OUTCOME_UNSPECIFIED: CommandReply.Outcome
    PENDING: CommandReply.Outcome
    CONVERGED: CommandReply.Outcome
    PARTIAL: CommandReply.Outcome
    REJECTED: CommandReply.Outcome
    TIMED_OUT: CommandReply.Outcome
    ROLLED_BACK: CommandReply.Outcome
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_BY_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_FROM_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_US_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_US_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    topology: str
    target: str
    kind: str
    version: int
    outcome: CommandReply.Outcome
    answers: _containers.RepeatedCompositeFieldContainer[ShardAnswer]
    expected: int
    applied: int
    rejected: int
    missing: int
    rolled_back_by: str
    rolled_back_from: str
    issuer: str
    issued_at_us: int
    reason: str
    payload: bytes
    offset: int
    replayed: bool
    note: str
    expires_at_us: int
    def __init__(self, command_id: _Optional[str] = ..., topology: _Optional[str] = ..., target: _Optional[str] = ..., kind: _Optional[str] = ..., version: _Optional[int] = ..., outcome: _Optional[_Union[CommandReply.Outcome, str]] = ..., answers: _Optional[_Iterable[_Union[ShardAnswer, _Mapping]]] = ..., expected: _Optional[int] = ..., applied: _Optional[int] = ..., rejected: _Optional[int] = ..., missing: _Optional[int] = ..., rolled_back_by: _Optional[str] = ..., rolled_back_from: _Optional[str] = ..., issuer: _Optional[str] = ..., issued_at_us: _Optional[int] = ..., reason: _Optional[str] = ..., payload: _Optional[bytes] = ..., offset: _Optional[int] = ..., replayed: _Optional[bool] = ..., note: _Optional[str] = ..., expires_at_us: _Optional[int] = ...) -> None: ...

class Violation(_message.Message):
    __slots__ = ("field", "reason", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    reason: str
    description: str
    def __init__(self, field: _Optional[str] = ..., reason: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class ValidateReply(_message.Message):
    __slots__ = ("valid", "violations", "stages")
    VALID_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    violations: _containers.RepeatedCompositeFieldContainer[Violation]
    stages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, valid: _Optional[bool] = ..., violations: _Optional[_Iterable[_Union[Violation, _Mapping]]] = ..., stages: _Optional[_Iterable[str]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("path", "op", "before", "after")
    PATH_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    path: str
    op: str
    before: bytes
    after: bytes
    def __init__(self, path: _Optional[str] = ..., op: _Optional[str] = ..., before: _Optional[bytes] = ..., after: _Optional[bytes] = ...) -> None: ...

class PlanReply(_message.Message):
    __slots__ = ("version", "changes", "affected", "validation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    version: int
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    affected: _containers.RepeatedCompositeFieldContainer[ShardAnswer]
    validation: ValidateReply
    def __init__(self, version: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., affected: _Optional[_Iterable[_Union[ShardAnswer, _Mapping]]] = ..., validation: _Optional[_Union[ValidateReply, _Mapping]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("topology", "command_id")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    topology: str
    command_id: str
    def __init__(self, topology: _Optional[str] = ..., command_id: _Optional[str] = ...) -> None: ...

class ShardStatus(_message.Message):
    __slots__ = ("topology", "shard", "shards", "run_id", "state", "heard_ms_ago", "messages", "lag", "killed", "paused", "policy_version", "pulse_age_ms", "spec_hash")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HEARD_MS_AGO_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    KILLED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    PULSE_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    SPEC_HASH_FIELD_NUMBER: _ClassVar[int]
    topology: str
    shard: int
    shards: int
    run_id: str
    state: str
    heard_ms_ago: int
    messages: int
    lag: int
    killed: bool
    paused: bool
    policy_version: int
    pulse_age_ms: int
    spec_hash: str
    def __init__(self, topology: _Optional[str] = ..., shard: _Optional[int] = ..., shards: _Optional[int] = ..., run_id: _Optional[str] = ..., state: _Optional[str] = ..., heard_ms_ago: _Optional[int] = ..., messages: _Optional[int] = ..., lag: _Optional[int] = ..., killed: _Optional[bool] = ..., paused: _Optional[bool] = ..., policy_version: _Optional[int] = ..., pulse_age_ms: _Optional[int] = ..., spec_hash: _Optional[str] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("commands", "shards", "killed", "service_id", "started_at_us", "ready", "event_offset")
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    KILLED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    EVENT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[CommandReply]
    shards: _containers.RepeatedCompositeFieldContainer[ShardStatus]
    killed: _containers.RepeatedScalarFieldContainer[str]
    service_id: str
    started_at_us: int
    ready: bool
    event_offset: int
    def __init__(self, commands: _Optional[_Iterable[_Union[CommandReply, _Mapping]]] = ..., shards: _Optional[_Iterable[_Union[ShardStatus, _Mapping]]] = ..., killed: _Optional[_Iterable[str]] = ..., service_id: _Optional[str] = ..., started_at_us: _Optional[int] = ..., ready: _Optional[bool] = ..., event_offset: _Optional[int] = ...) -> None: ...

class HistoryRequest(_message.Message):
    __slots__ = ("topology", "target", "kind", "limit")
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    topology: str
    target: str
    kind: str
    limit: int
    def __init__(self, topology: _Optional[str] = ..., target: _Optional[str] = ..., kind: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class HistoryReply(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[CommandReply]
    def __init__(self, commands: _Optional[_Iterable[_Union[CommandReply, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("from_offset", "topology")
    FROM_OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    from_offset: int
    topology: str
    def __init__(self, from_offset: _Optional[int] = ..., topology: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("offset", "record")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    offset: int
    record: _control_pb2.ControlAudit
    def __init__(self, offset: _Optional[int] = ..., record: _Optional[_Union[_control_pb2.ControlAudit, _Mapping]] = ...) -> None: ...

class WatchAcksRequest(_message.Message):
    __slots__ = ("command_id", "topology", "from_positions")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    FROM_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    topology: str
    from_positions: _containers.RepeatedCompositeFieldContainer[AckPosition]
    def __init__(self, command_id: _Optional[str] = ..., topology: _Optional[str] = ..., from_positions: _Optional[_Iterable[_Union[AckPosition, _Mapping]]] = ...) -> None: ...

class AckPosition(_message.Message):
    __slots__ = ("partition", "offset")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    partition: int
    offset: int
    def __init__(self, partition: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class AckEvent(_message.Message):
    __slots__ = ("position", "ack")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    position: AckPosition
    ack: _control_pb2.ControlAck
    def __init__(self, position: _Optional[_Union[AckPosition, _Mapping]] = ..., ack: _Optional[_Union[_control_pb2.ControlAck, _Mapping]] = ...) -> None: ...

class ListTopologiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TopologySummary(_message.Message):
    __slots__ = ("name", "summary", "shards", "state", "nodes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    name: str
    summary: str
    shards: int
    state: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., summary: _Optional[str] = ..., shards: _Optional[int] = ..., state: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListTopologiesReply(_message.Message):
    __slots__ = ("topologies",)
    TOPOLOGIES_FIELD_NUMBER: _ClassVar[int]
    topologies: _containers.RepeatedCompositeFieldContainer[TopologySummary]
    def __init__(self, topologies: _Optional[_Iterable[_Union[TopologySummary, _Mapping]]] = ...) -> None: ...

class ValidateTopologyRequest(_message.Message):
    __slots__ = ("names", "yaml")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    YAML_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    yaml: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., yaml: _Optional[str] = ...) -> None: ...

class TopologyProblem(_message.Message):
    __slots__ = ("line", "key", "message", "suggestion")
    LINE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_FIELD_NUMBER: _ClassVar[int]
    line: int
    key: str
    message: str
    suggestion: str
    def __init__(self, line: _Optional[int] = ..., key: _Optional[str] = ..., message: _Optional[str] = ..., suggestion: _Optional[str] = ...) -> None: ...

class ValidateTopologyReply(_message.Message):
    __slots__ = ("valid", "problems")
    VALID_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    problems: _containers.RepeatedCompositeFieldContainer[TopologyProblem]
    def __init__(self, valid: _Optional[bool] = ..., problems: _Optional[_Iterable[_Union[TopologyProblem, _Mapping]]] = ...) -> None: ...

class TopologyStatusRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class TopologyShard(_message.Message):
    __slots__ = ("shard", "state", "pid", "restarts", "rows", "rows_per_s", "caught_up", "lag", "snapshot_age_s", "control")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROWS_PER_S_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    shard: int
    state: str
    pid: int
    restarts: int
    rows: int
    rows_per_s: float
    caught_up: bool
    lag: int
    snapshot_age_s: float
    control: ShardStatus
    def __init__(self, shard: _Optional[int] = ..., state: _Optional[str] = ..., pid: _Optional[int] = ..., restarts: _Optional[int] = ..., rows: _Optional[int] = ..., rows_per_s: _Optional[float] = ..., caught_up: _Optional[bool] = ..., lag: _Optional[int] = ..., snapshot_age_s: _Optional[float] = ..., control: _Optional[_Union[ShardStatus, _Mapping]] = ...) -> None: ...

class TopologyStatusReply(_message.Message):
    __slots__ = ("name", "state", "shards")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    shards: _containers.RepeatedCompositeFieldContainer[TopologyShard]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., shards: _Optional[_Iterable[_Union[TopologyShard, _Mapping]]] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("name", "shards", "fresh")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    name: str
    shards: int
    fresh: bool
    def __init__(self, name: _Optional[str] = ..., shards: _Optional[int] = ..., fresh: _Optional[bool] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("name", "timeout_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    timeout_ms: int
    def __init__(self, name: _Optional[str] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class RescaleRequest(_message.Message):
    __slots__ = ("name", "shards", "fresh")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    name: str
    shards: int
    fresh: bool
    def __init__(self, name: _Optional[str] = ..., shards: _Optional[int] = ..., fresh: _Optional[bool] = ...) -> None: ...

class PlanTopologyRequest(_message.Message):
    __slots__ = ("name", "rollback")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    name: str
    rollback: bool
    def __init__(self, name: _Optional[str] = ..., rollback: _Optional[bool] = ...) -> None: ...

class TopologyDifference(_message.Message):
    __slots__ = ("node", "what", "setting", "before", "after")
    NODE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    node: str
    what: str
    setting: str
    before: str
    after: str
    def __init__(self, node: _Optional[str] = ..., what: _Optional[str] = ..., setting: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class PlanTopologyReply(_message.Message):
    __slots__ = ("name", "plan", "shards", "differences", "forgets", "refusal")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    FORGETS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    plan: str
    shards: int
    differences: _containers.RepeatedCompositeFieldContainer[TopologyDifference]
    forgets: _containers.RepeatedScalarFieldContainer[str]
    refusal: str
    def __init__(self, name: _Optional[str] = ..., plan: _Optional[str] = ..., shards: _Optional[int] = ..., differences: _Optional[_Iterable[_Union[TopologyDifference, _Mapping]]] = ..., forgets: _Optional[_Iterable[str]] = ..., refusal: _Optional[str] = ...) -> None: ...

class ChangeTopologyRequest(_message.Message):
    __slots__ = ("name", "plan")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    name: str
    plan: str
    def __init__(self, name: _Optional[str] = ..., plan: _Optional[str] = ...) -> None: ...

class TopologyReply(_message.Message):
    __slots__ = ("name", "state", "shards", "seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    shards: int
    seconds: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., shards: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("name", "run_id", "from_us", "to_us", "warmup_us", "files_only", "dry_run")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    WARMUP_US_FIELD_NUMBER: _ClassVar[int]
    FILES_ONLY_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    name: str
    run_id: str
    from_us: int
    to_us: int
    warmup_us: int
    files_only: bool
    dry_run: bool
    def __init__(self, name: _Optional[str] = ..., run_id: _Optional[str] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., warmup_us: _Optional[int] = ..., files_only: _Optional[bool] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ReplayResult(_message.Message):
    __slots__ = ("message", "rows", "sha256", "file")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    message: str
    rows: int
    sha256: str
    file: str
    def __init__(self, message: _Optional[str] = ..., rows: _Optional[int] = ..., sha256: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class ReplayEvent(_message.Message):
    __slots__ = ("done", "messages", "finished", "results", "seconds")
    DONE_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    done: int
    messages: int
    finished: bool
    results: _containers.RepeatedCompositeFieldContainer[ReplayResult]
    seconds: float
    def __init__(self, done: _Optional[int] = ..., messages: _Optional[int] = ..., finished: _Optional[bool] = ..., results: _Optional[_Iterable[_Union[ReplayResult, _Mapping]]] = ..., seconds: _Optional[float] = ...) -> None: ...
