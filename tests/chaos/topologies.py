"""The topologies that are hurt, with the run's own topics and database."""

_HEAD = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
  clickhouse: {{port: {port}, database: "{database}"}}
  websocket: {{port: {hub_port}}}
  recovery: {{epoch_s: 0.5}}
topologies:
  {name}:
    control: {{enabled: false}}
    nodes:
      swaps: {{use: kafka.source, with: {{topic: "{prefix}swaps", start: earliest, settle_ms: 150}}}}
      updates: {{use: kafka.source, with: {{topic: "{prefix}updates", start: earliest, settle_ms: 150}}}}
      decoded: {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      pools: {{use: decode, from: updates, with: {{message: mevflow.v1.PoolUpdate}}}}
"""
_HUNT = """\
      found:
        use: arbitrage.detect
        from: {{swaps: decoded, updates: pools}}
        with: {{registry: "{root}/examples/pools.yaml", max_hops: 3, min_profit_usd: 0.0001}}
      decided:
        use: bandit.decide
        from: {{in: found.opportunities, swaps: found.swaps}}
        with: {{policy: tip-linucb}}
      history:
        use: clickhouse.sink
        from: [decoded, found.opportunities, found.prices, found.pools, decided.decisions, decided.lineage,
               decided.outcomes, decided.counterfactuals, decided.events]
      decisions: {{use: kafka.sink, from: decided.decisions, with: {{topic: "{prefix}decisions", key: opportunity_id,
                  dead_letters: "{prefix}dlq"}}}}
      events: {{use: kafka.sink, from: decided.events, with: {{topic: "{prefix}events", key: decision_id,
               dead_letters: "{prefix}dlq"}}}}
      prices: {{use: kafka.sink, from: found.prices, with: {{topic: "{prefix}prices", key: mint,
               dead_letters: "{prefix}dlq"}}}}
      live: {{use: websocket.sink, from: found.opportunities, with: {{channel: opportunities, linger_s: 5}}}}
      rejects: {{use: dlq.sink, from: [decoded.errors, pools.errors, found.errors, decided.errors],
                with: {{topic: "{prefix}dlq"}}}}
      rejects-kept: {{use: clickhouse.sink, from: [decoded.errors, pools.errors, found.errors, decided.errors]}}
"""
_KEEP = """\
      history: {{use: clickhouse.sink, from: [decoded, pools]}}
      copy: {{use: kafka.sink, from: decoded, with: {{topic: "{prefix}copy", key: pool, dead_letters: "{prefix}dlq"}}}}
      rejects: {{use: dlq.sink, from: [decoded.errors, pools.errors], with: {{topic: "{prefix}dlq"}}}}
      rejects-kept: {{use: clickhouse.sink, from: [decoded.errors, pools.errors]}}
"""

BODY = {"hunt": _HEAD + _HUNT, "keep": _HEAD + _KEEP}
#: What a topology reads, and what it writes.
INPUTS = ("swaps", "updates")
OUTPUTS = {"hunt": ("decisions", "events", "prices", "dlq"), "keep": ("copy", "dlq")}
#: Shards at the start. A keep has no state of its own in its stages, so it can be rescaled.
SHARDS = {"hunt": 1, "keep": 2}
