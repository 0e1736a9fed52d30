"""Which message goes to which table, column by column, and what tells two rows apart."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.descriptor import EnumDescriptor

from mevflow.sinks.clickhouse.columns import (
    MAX_SIGNATURE_BYTES,
    TIME,
    Address,
    Amount,
    AmountOrUnknown,
    ChainName,
    Enumerated,
    Identifier,
    Many,
    Number,
    TableColumn,
    Text,
    Word,
)
from mevflow.v1 import control_pb2, market_pb2


@dataclass(frozen=True)
class Table:
    """One table of the sink. ``name`` is where rows are inserted; what people read may be a view over it.

    ``identity`` are the table's columns that make a row what it is: a re-read row has them equal, another row
    does not. A row's chain time is the same each time too. ``states_run`` says that the message itself carries topology
    and run_id; otherwise the sink adds them.
    """

    name: str
    columns: tuple[TableColumn, ...]
    identity: tuple[str, ...]
    states_run: bool = False


def names_of(descriptor: EnumDescriptor, prefix: str) -> tuple[str, ...]:
    """An enum's names by number, in lower case and without ``prefix``: KIND_FEE -> fee."""
    by_number = {value.number: value.name.removeprefix(prefix).lower() for value in descriptor.values}
    return tuple(by_number.get(number, str(number)) for number in range(max(by_number) + 1))


VENUES = names_of(market_pb2.Venue.DESCRIPTOR, "VENUE_")
KINDS = names_of(market_pb2.PoolUpdate.Kind.DESCRIPTOR, "KIND_")
STATUSES = tuple(name.upper() for name in names_of(control_pb2.ControlAck.Status.DESCRIPTOR, ""))


def number(name: str, kind: str, source: str = "") -> Number:
    return Number(name, source or name, kind)


def numbers(kind: str, *names: str) -> list[TableColumn]:
    return [Number(name, name, kind) for name in names]


def amounts(kind: str, *names: str) -> list[TableColumn]:
    return [Amount(name, name, kind) for name in names]


def words(*names: str) -> list[TableColumn]:
    return [Word(name, name) for name in names]


def addresses(*names: str) -> list[TableColumn]:
    return [Address(name, name) for name in names]


def many(name: str, element: TableColumn, source: str = "", part: str = "") -> Many:
    return Many(name, source or name, element, part)


_TIMESTAMP = number("timestamp", TIME, "timestamp_us")
_CHAIN = ChainName("chain", "chain")
_VENUE = Enumerated("venue", "venue", VENUES)
_ORDER = [_CHAIN, number("slot", "UInt64"), *numbers("UInt32", "tx_index", "ix_index")]
_SIGNED_BY = [Text(f"_{name}", name, MAX_SIGNATURE_BYTES) for name in ("signature", "signer")]
#: The sink adds ``source_incarnation`` where the source says which making of the topic it reads.
_SOURCE = [
    *words("source_topic", "source_incarnation"),
    number("source_partition", "Int32"),
    number("source_offset", "Int64"),
]
_RUN = words("topology", "run_id")
_BY_ARM = ("features", "arm_propensities", "arm_scores", "arm_expected")
_SOURCE_IDENTITY = ("source_topic", "source_incarnation", "source_partition", "source_offset")

#: Full message name -> its table.
TABLES: dict[str, Table] = {
    "mevflow.v1.Swap": Table(
        "raw_swaps_rows",
        (
            _TIMESTAMP,
            *_ORDER,
            _VENUE,
            *addresses("pool", "mint_in", "mint_out"),
            *amounts("UInt128", "amount_in", "amount_out", "reserve_a", "reserve_b", "sqrt_price_x64"),
            Amount("sqrt_price_x96", "sqrt_price_x96", "UInt256"),
            Amount("liquidity", "liquidity"),
            number("tick", "Int32"),
            number("fee_pips", "UInt32"),
            *numbers("UInt64", "priority_fee_lamports", "tip_lamports"),
            *numbers("Bool", "a_to_b", "reanchored"),
            *_SIGNED_BY,
            *_SOURCE,
        ),
        (*_SOURCE_IDENTITY, "timestamp", "slot", "tx_index", "ix_index", "chain"),
    ),
    "mevflow.v1.PoolUpdate": Table(
        "dex_pools",
        (
            _TIMESTAMP,
            *_ORDER,
            _VENUE,
            Address("pool", "pool", False),
            Enumerated("kind", "kind", KINDS),
            Address("mint_a", "mint_a", False),
            Address("mint_b", "mint_b", False),
            *words("symbol_a", "symbol_b"),
            *numbers("UInt8", "decimals_a", "decimals_b"),
            *numbers("UInt32", "fee_pips", "tick_spacing"),
            *amounts("UInt128", "reserve_a", "reserve_b", "sqrt_price_x64"),
            Amount("sqrt_price_x96", "sqrt_price_x96", "UInt256"),
            Amount("liquidity", "liquidity"),
            *numbers("Int32", "tick", "tick_lower", "tick_upper"),
            Amount("liquidity_delta", "liquidity_delta", "Int128"),
            *numbers("Int32", "known_tick_lower", "known_tick_upper"),
            *numbers("Bool", "known_range_set", "reanchored"),
            many("ticks.tick", number("tick", "Int32"), "ticks", "tick"),
            many(
                "ticks.liquidity_net",
                Amount("liquidity_net", "liquidity_net", "Int128"),
                "ticks",
                "liquidity_net",
            ),
            *_SIGNED_BY,
            *_SOURCE,
        ),
        (*_SOURCE_IDENTITY, "chain", "pool", "slot", "tx_index", "ix_index", "kind"),
    ),
    "mevflow.v1.PriceTick": Table(
        "price_feeds",
        (
            _TIMESTAMP,
            *_ORDER,
            *addresses("mint", "numeraire"),
            number("price", "Float64"),
            *addresses("pool"),
            *words("source"),
        ),
        ("timestamp", "slot", "tx_index", "ix_index", "chain", "mint", "numeraire", "pool", "source"),
    ),
    "mevflow.v1.Label": Table(
        "transaction_labels",
        (
            _TIMESTAMP,
            _CHAIN,
            number("slot", "UInt64"),
            number("tx_index", "UInt32"),
            *words("kind"),
            many("swap_ix", number("swap_ix", "UInt32")),
            *addresses("profit_mint"),
            *amounts("UInt128", "start_amount", "end_amount"),
            Amount("profit", "profit", "Int128"),
            Text("group", "group"),
            *_SIGNED_BY,
        ),
        ("timestamp", "slot", "tx_index", "chain", "kind", "group"),
    ),
    "mevflow.v1.Opportunity": Table(
        "mev_opportunities",
        (
            _TIMESTAMP,
            Identifier("opportunity_id", "opportunity_id"),
            *_RUN,
            *_ORDER,
            *words("path"),
            *addresses("mint"),
            *amounts("UInt128", "amount_in", "amount_out"),
            *amounts("Int128", "gross_profit", "net_profit"),
            AmountOrUnknown("cost", "cost"),
            *numbers("Float64", "gross_profit_usd", "net_profit_usd", "log_rate"),
            *numbers("Bool", "late", "new_episode", "closed"),
            number("opened_slot", "UInt64"),
            number("opened_at", TIME, "opened_us"),
            *numbers("UInt64", "ordinal", "logic_version"),
            *(many(f"legs.{part}", Address(part, part), "legs", part) for part in ("pool", "mint_in", "mint_out")),
            *(many(f"legs.{part}", Amount(part, part), "legs", part) for part in ("amount_in", "amount_out")),
            many("legs.venue", _VENUE, "legs", "venue"),
        ),
        ("opportunity_id",),
        states_run=True,
    ),
    "mevflow.v1.Decision": Table(
        "mev_decisions",
        (
            _TIMESTAMP,
            Identifier("decision_id", "decision_id"),
            Identifier("opportunity_id", "opportunity_id"),
            *_RUN,
            *_ORDER,
            *addresses("mint"),
            *words("arm", "policy", "activation", "utility"),
            *numbers("Float64", "propensity", "score", "tip_share", "expected_profit_usd", "exploration"),
            Amount("tip", "tip"),
            *numbers("UInt64", "policy_version", "model_version", "seed", "logic_version"),
            *(many(name, number(name, "Float64")) for name in _BY_ARM),
            Identifier("episode_id", "episode_id"),
            Identifier("model_id", "model_id"),
            number("attempt", "UInt32"),
            many("arms", Word("arms", "arms")),
        ),
        ("decision_id",),
        states_run=True,
    ),
    "mevflow.v1.Outcome": Table(
        "outcomes",
        (
            _TIMESTAMP,
            Identifier("decision_id", "decision_id"),
            Identifier("opportunity_id", "opportunity_id"),
            *_RUN,
            _CHAIN,
            number("slot", "UInt64"),
            *words("kind", "arm"),
            *numbers("Float64", "propensity", "reward_usd", "utility"),
            AmountOrUnknown("realized_profit", "realized_profit", "Int128"),
            Text("evidence", "evidence"),
            Identifier("episode_id", "episode_id"),
            *numbers("UInt32", "attempt", "revision"),
            *numbers("Bool", "activated", "measured"),
        ),
        ("timestamp", "decision_id", "kind", "revision"),
        states_run=True,
    ),
    "mevflow.v1.Counterfactual": Table(
        "mev_counterfactuals",
        (
            _TIMESTAMP,
            Identifier("decision_id", "decision_id"),
            *_RUN,
            *words("arm", "estimator"),
            *numbers("Float64", "estimate_usd", "propensity"),
        ),
        ("timestamp", "decision_id", "arm", "estimator"),
        states_run=True,
    ),
    "mevflow.v1.Lineage": Table(
        "mev_decision_lineage",
        (
            _TIMESTAMP,
            Identifier("decision_id", "decision_id"),
            Identifier("opportunity_id", "opportunity_id"),
            *_RUN,
            *words("topic", "policy"),
            number("partition", "Int32"),
            number("offset", "Int64"),
            *_ORDER,
            many("pools", Address("pools", "pools")),
            many("features", number("features", "Float64")),
            many("scores", number("scores", "Float64")),
            *numbers("UInt64", "policy_version", "model_version", "logic_version"),
        ),
        ("decision_id",),
        states_run=True,
    ),
    "mevflow.v1.BanditEvent": Table(
        "bandit_events_proto",
        (
            _TIMESTAMP,
            Identifier("decision_id", "decision_id"),
            *_RUN,
            _CHAIN,
            number("slot", "UInt64"),
            *words("kind", "policy", "arm"),
            number("policy_version", "UInt64"),
            *numbers("Float64", "propensity", "reward_usd", "utility"),
            many("features", number("features", "Float64")),
            Identifier("episode_id", "episode_id"),
            Text("detail", "detail"),
        ),
        ("timestamp", "decision_id", "kind"),
        states_run=True,
    ),
    "mevflow.v1.ModelScore": Table(
        "model_scores",
        (
            _TIMESTAMP,
            Identifier("opportunity_id", "opportunity_id"),
            *_RUN,
            _CHAIN,
            number("slot", "UInt64"),
            *words("model", "target", "candidate"),
            number("score", "Float64"),
            *numbers("UInt64", "model_version", "logic_version"),
            Identifier("model_id", "model_id"),
        ),
        ("timestamp", "opportunity_id", "model"),
        states_run=True,
    ),
    "mevflow.v1.ModelEvent": Table(
        "model_events",
        (
            _TIMESTAMP,
            *words("kind", "model", "target", "candidate"),
            *_RUN,
            _CHAIN,
            *numbers("UInt64", "slot", "labels", "ordinal"),
            number("champion", "Bool"),
            *numbers("Float64", "log_loss", "mae", "roc_auc", "ece", "loss_difference", "evidence"),
            Text("detail", "detail"),
            Identifier("opportunity_id", "opportunity_id"),
        ),
        ("timestamp", "model", "ordinal"),
        states_run=True,
    ),
    "mevflow.v1.RealtimeMessage": Table(
        "realtime_proto",
        (
            _TIMESTAMP,
            *words("channel", "type"),
            Address("pool", "pool", False),
            Text("_payload", "payload"),
            *_SOURCE,
        ),
        ("timestamp", "channel", "type", "payload", *_SOURCE_IDENTITY),
    ),
    "mevflow.v1.ControlAck": Table(
        "control_acks",
        (
            _TIMESTAMP,
            Text("command_id", "command_id"),
            *_RUN,
            number("shard", "UInt32"),
            *words("stage", "reason", "topic"),
            number("version", "UInt64"),
            Identifier("nonce", "nonce"),
            Enumerated("status", "status", STATUSES),
            Text("detail", "detail"),
            number("partition", "Int32"),
            number("offset", "Int64"),
        ),
        ("timestamp", "command_id", "topology", "shard", "run_id", "stage", "status"),
        states_run=True,
    ),
    "mevflow.v1.ControlAudit": Table(
        "control_audit",
        (
            _TIMESTAMP,
            *words("identity", "role", "method", "topology", "status", "outcome"),
            *(
                Text(name, name)
                for name in (
                    "call_id",
                    "peer",
                    "target",
                    "command_id",
                    "idempotency_key",
                    "reason",
                    "detail",
                    "request",
                )
            ),
            number("version", "UInt64"),
            *_SOURCE,
        ),
        ("timestamp", *_SOURCE_IDENTITY),
        states_run=True,
    ),
    "mevflow.v1.DeadLetter": Table(
        "dead_letters",
        (
            _TIMESTAMP,
            *words("topic", "stage", "reason"),
            *_RUN,
            number("partition", "Int32"),
            number("offset", "Int64"),
            Text("detail", "detail"),
            Text("_payload", "payload"),
        ),
        ("topic", "partition", "offset", "stage", "reason"),
        states_run=True,
    ),
}
