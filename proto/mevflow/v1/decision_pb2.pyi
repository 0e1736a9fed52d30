from mevflow.v1 import market_pb2 as _market_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Leg(_message.Message):
    __slots__ = ("pool", "mint_in", "mint_out", "amount_in", "amount_out", "venue")
    POOL_FIELD_NUMBER: _ClassVar[int]
    MINT_IN_FIELD_NUMBER: _ClassVar[int]
    MINT_OUT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_OUT_FIELD_NUMBER: _ClassVar[int]
    VENUE_FIELD_NUMBER: _ClassVar[int]
    pool: bytes
    mint_in: bytes
    mint_out: bytes
    amount_in: bytes
    amount_out: bytes
    venue: _market_pb2.Venue
    def __init__(self, pool: _Optional[bytes] = ..., mint_in: _Optional[bytes] = ..., mint_out: _Optional[bytes] = ..., amount_in: _Optional[bytes] = ..., amount_out: _Optional[bytes] = ..., venue: _Optional[_Union[_market_pb2.Venue, str]] = ...) -> None: ...

class Opportunity(_message.Message):
    __slots__ = ("opportunity_id", "topology", "run_id", "chain", "slot", "tx_index", "ix_index", "timestamp_us", "legs", "mint", "amount_in", "amount_out", "gross_profit", "net_profit", "cost", "gross_profit_usd", "net_profit_usd", "log_rate", "late", "new_episode", "opened_slot", "ordinal", "opened_us", "path", "logic_version", "closed")
    OPPORTUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    IX_INDEX_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    MINT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_IN_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_OUT_FIELD_NUMBER: _ClassVar[int]
    GROSS_PROFIT_FIELD_NUMBER: _ClassVar[int]
    NET_PROFIT_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    GROSS_PROFIT_USD_FIELD_NUMBER: _ClassVar[int]
    NET_PROFIT_USD_FIELD_NUMBER: _ClassVar[int]
    LOG_RATE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    NEW_EPISODE_FIELD_NUMBER: _ClassVar[int]
    OPENED_SLOT_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    OPENED_US_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LOGIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    opportunity_id: bytes
    topology: str
    run_id: str
    chain: _market_pb2.Chain
    slot: int
    tx_index: int
    ix_index: int
    timestamp_us: int
    legs: _containers.RepeatedCompositeFieldContainer[Leg]
    mint: bytes
    amount_in: bytes
    amount_out: bytes
    gross_profit: bytes
    net_profit: bytes
    cost: bytes
    gross_profit_usd: float
    net_profit_usd: float
    log_rate: float
    late: bool
    new_episode: bool
    opened_slot: int
    ordinal: int
    opened_us: int
    path: str
    logic_version: int
    closed: bool
    def __init__(self, opportunity_id: _Optional[bytes] = ..., topology: _Optional[str] = ..., run_id: _Optional[str] = ..., chain: _Optional[_Union[_market_pb2.Chain, str]] = ..., slot: _Optional[int] = ..., tx_index: _Optional[int] = ..., ix_index: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., legs: _Optional[_Iterable[_Union[Leg, _Mapping]]] = ..., mint: _Optional[bytes] = ..., amount_in: _Optional[bytes] = ..., amount_out: _Optional[bytes] = ..., gross_profit: _Optional[bytes] = ..., net_profit: _Optional[bytes] = ..., cost: _Optional[bytes] = ..., gross_profit_usd: _Optional[float] = ..., net_profit_usd: _Optional[float] = ..., log_rate: _Optional[float] = ..., late: _Optional[bool] = ..., new_episode: _Optional[bool] = ..., opened_slot: _Optional[int] = ..., ordinal: _Optional[int] = ..., opened_us: _Optional[int] = ..., path: _Optional[str] = ..., logic_version: _Optional[int] = ..., closed: _Optional[bool] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("decision_id", "opportunity_id", "topology", "run_id", "chain", "slot", "timestamp_us", "features", "arms", "arm", "propensity", "policy", "policy_version", "model_version", "seed", "tip_share", "tip", "score", "arm_propensities", "arm_scores", "logic_version", "tx_index", "ix_index", "mint", "expected_profit_usd", "pools")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OPPORTUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    TIP_SHARE_FIELD_NUMBER: _ClassVar[int]
    TIP_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ARM_PROPENSITIES_FIELD_NUMBER: _ClassVar[int]
    ARM_SCORES_FIELD_NUMBER: _ClassVar[int]
    LOGIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    IX_INDEX_FIELD_NUMBER: _ClassVar[int]
    MINT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_PROFIT_USD_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    decision_id: bytes
    opportunity_id: bytes
    topology: str
    run_id: str
    chain: _market_pb2.Chain
    slot: int
    timestamp_us: int
    features: _containers.RepeatedScalarFieldContainer[float]
    arms: _containers.RepeatedScalarFieldContainer[str]
    arm: str
    propensity: float
    policy: str
    policy_version: int
    model_version: int
    seed: int
    tip_share: float
    tip: bytes
    score: float
    arm_propensities: _containers.RepeatedScalarFieldContainer[float]
    arm_scores: _containers.RepeatedScalarFieldContainer[float]
    logic_version: int
    tx_index: int
    ix_index: int
    mint: bytes
    expected_profit_usd: float
    pools: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, decision_id: _Optional[bytes] = ..., opportunity_id: _Optional[bytes] = ..., topology: _Optional[str] = ..., run_id: _Optional[str] = ..., chain: _Optional[_Union[_market_pb2.Chain, str]] = ..., slot: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., features: _Optional[_Iterable[float]] = ..., arms: _Optional[_Iterable[str]] = ..., arm: _Optional[str] = ..., propensity: _Optional[float] = ..., policy: _Optional[str] = ..., policy_version: _Optional[int] = ..., model_version: _Optional[int] = ..., seed: _Optional[int] = ..., tip_share: _Optional[float] = ..., tip: _Optional[bytes] = ..., score: _Optional[float] = ..., arm_propensities: _Optional[_Iterable[float]] = ..., arm_scores: _Optional[_Iterable[float]] = ..., logic_version: _Optional[int] = ..., tx_index: _Optional[int] = ..., ix_index: _Optional[int] = ..., mint: _Optional[bytes] = ..., expected_profit_usd: _Optional[float] = ..., pools: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("decision_id", "opportunity_id", "chain", "slot", "timestamp_us", "kind", "reward_usd", "realized_profit", "evidence", "topology", "run_id", "arm", "propensity")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OPPORTUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REWARD_USD_FIELD_NUMBER: _ClassVar[int]
    REALIZED_PROFIT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    decision_id: bytes
    opportunity_id: bytes
    chain: _market_pb2.Chain
    slot: int
    timestamp_us: int
    kind: str
    reward_usd: float
    realized_profit: bytes
    evidence: str
    topology: str
    run_id: str
    arm: str
    propensity: float
    def __init__(self, decision_id: _Optional[bytes] = ..., opportunity_id: _Optional[bytes] = ..., chain: _Optional[_Union[_market_pb2.Chain, str]] = ..., slot: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., kind: _Optional[str] = ..., reward_usd: _Optional[float] = ..., realized_profit: _Optional[bytes] = ..., evidence: _Optional[str] = ..., topology: _Optional[str] = ..., run_id: _Optional[str] = ..., arm: _Optional[str] = ..., propensity: _Optional[float] = ...) -> None: ...

class Counterfactual(_message.Message):
    __slots__ = ("decision_id", "arm", "estimate_usd", "estimator", "timestamp_us", "topology", "run_id", "propensity")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_USD_FIELD_NUMBER: _ClassVar[int]
    ESTIMATOR_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    decision_id: bytes
    arm: str
    estimate_usd: float
    estimator: str
    timestamp_us: int
    topology: str
    run_id: str
    propensity: float
    def __init__(self, decision_id: _Optional[bytes] = ..., arm: _Optional[str] = ..., estimate_usd: _Optional[float] = ..., estimator: _Optional[str] = ..., timestamp_us: _Optional[int] = ..., topology: _Optional[str] = ..., run_id: _Optional[str] = ..., propensity: _Optional[float] = ...) -> None: ...

class Lineage(_message.Message):
    __slots__ = ("decision_id", "opportunity_id", "topology", "run_id", "timestamp_us", "topic", "partition", "offset", "chain", "slot", "tx_index", "ix_index", "pools", "features", "scores", "policy", "policy_version", "model_version", "logic_version")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    OPPORTUNITY_ID_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TX_INDEX_FIELD_NUMBER: _ClassVar[int]
    IX_INDEX_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LOGIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    decision_id: bytes
    opportunity_id: bytes
    topology: str
    run_id: str
    timestamp_us: int
    topic: str
    partition: int
    offset: int
    chain: _market_pb2.Chain
    slot: int
    tx_index: int
    ix_index: int
    pools: _containers.RepeatedScalarFieldContainer[bytes]
    features: _containers.RepeatedScalarFieldContainer[float]
    scores: _containers.RepeatedScalarFieldContainer[float]
    policy: str
    policy_version: int
    model_version: int
    logic_version: int
    def __init__(self, decision_id: _Optional[bytes] = ..., opportunity_id: _Optional[bytes] = ..., topology: _Optional[str] = ..., run_id: _Optional[str] = ..., timestamp_us: _Optional[int] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., chain: _Optional[_Union[_market_pb2.Chain, str]] = ..., slot: _Optional[int] = ..., tx_index: _Optional[int] = ..., ix_index: _Optional[int] = ..., pools: _Optional[_Iterable[bytes]] = ..., features: _Optional[_Iterable[float]] = ..., scores: _Optional[_Iterable[float]] = ..., policy: _Optional[str] = ..., policy_version: _Optional[int] = ..., model_version: _Optional[int] = ..., logic_version: _Optional[int] = ...) -> None: ...

class BanditEvent(_message.Message):
    __slots__ = ("decision_id", "kind", "topology", "run_id", "chain", "slot", "timestamp_us", "policy", "policy_version", "arm", "propensity", "reward_usd", "features")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_US_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    PROPENSITY_FIELD_NUMBER: _ClassVar[int]
    REWARD_USD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    decision_id: bytes
    kind: str
    topology: str
    run_id: str
    chain: _market_pb2.Chain
    slot: int
    timestamp_us: int
    policy: str
    policy_version: int
    arm: str
    propensity: float
    reward_usd: float
    features: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, decision_id: _Optional[bytes] = ..., kind: _Optional[str] = ..., topology: _Optional[str] = ..., run_id: _Optional[str] = ..., chain: _Optional[_Union[_market_pb2.Chain, str]] = ..., slot: _Optional[int] = ..., timestamp_us: _Optional[int] = ..., policy: _Optional[str] = ..., policy_version: _Optional[int] = ..., arm: _Optional[str] = ..., propensity: _Optional[float] = ..., reward_usd: _Optional[float] = ..., features: _Optional[_Iterable[float]] = ...) -> None: ...
