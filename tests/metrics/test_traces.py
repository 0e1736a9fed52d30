"""Decisions as traces: over OTLP, to a receiver that reads what OpenTelemetry's own exporter sends."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from bytewax.run import cli_main
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mevflow.flows.engine.compiler import compile_topology
from mevflow.flows.engine.meter import Meter
from mevflow.flows.engine.traces import DecisionTraces
from mevflow.flows.spec.resolve import resolve
from mevflow.flows.spec.topology import load
from mevflow.kafka.topics import TopicSpec, create, listing
from mevflow.metrics.tracing import Tracing
from tests.plugins.deployment import ROOT

_FILE = """\
version: 1
defaults:
  kafka: {{bootstrap: "{bootstrap}"}}
topologies:
  traced:
    nodes:
      swaps:     {{use: kafka.source, with: {{topic: dex-swaps-proto, start: earliest, stop_offsets: {swaps}}}}}
      updates:   {{use: kafka.source, with: {{topic: pool-updates-proto, start: earliest, stop_offsets: {updates}}}}}
      decoded:   {{use: decode, from: swaps, with: {{message: mevflow.v1.Swap}}}}
      pools:     {{use: decode, from: updates, with: {{message: mevflow.v1.PoolUpdate}}}}
      found:     {{use: arbitrage.detect, from: {{swaps: decoded, updates: pools}}, with: {{registry: {registry}}}}}
      decided:   {{use: bandit.decide, from: {{in: found.opportunities, swaps: found.swaps}}}}
      decisions: {{use: kafka.sink, from: decided.decisions, with: {{topic: traced, key: opportunity_id}}}}
      rejects:   {{use: dlq.sink, from: [decoded.errors, pools.errors, found.errors, decided.errors], with: {dlq}}}
"""


@pytest.fixture
def receiver():
    """Its URL, and the (resource, span) pairs that it has."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = {each.key: each.value.string_value for each in group.resource.attributes}
                spans.extend((resource, span) for scope in group.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    server.shutdown()
    server.server_close()


def traced(receiver, sample):
    return DecisionTraces(
        Tracing(receiver[0], sample).begin({"service.name": "mevflow-shard"}), sample, {"swaps"}.__contains__
    )


def decisions(*ids):
    return pa.RecordBatch.from_pylist(
        [
            {"decision_id": each, "opportunity_id": b"o" * 16, "chain": 1, "arm": "skip", "propensity": 0.5}
            for each in ids
        ]
    )


@pytest.mark.timeout(1200)
def test_the_path_of_a_decision_is_one_trace(live, receiver, tmp_path):
    ends = {
        info.name: {partition: end for partition, (_, end) in info.ends.items()}
        for info in listing(live.bootstrap, ["dex-swaps-proto", "pool-updates-proto"])
    }
    create(live.bootstrap, (TopicSpec("traced", 1), TopicSpec("traced-dlq", 1)))
    path = tmp_path / "topologies.yaml"
    registry = (ROOT / "examples/pools.yaml").absolute()
    said = {"bootstrap": live.bootstrap, "registry": registry, "dlq": "{topic: traced-dlq}"}
    path.write_text(_FILE.format(swaps=ends["dex-swaps-proto"], updates=ends["pool-updates-proto"], **said))
    topology = resolve(load(path), "traced")
    meter = Meter(None, {})
    meter.traces = DecisionTraces(
        Tracing(receiver[0], 1.0).begin({"service.name": "mevflow-shard"}), 1.0, {"swaps", "updates"}.__contains__
    )
    cli_main(compile_topology(topology, meter=meter, drain=threading.Event()))
    meter.traces.close()
    roots = {span.trace_id: span for _, span in receiver[1] if not span.parent_span_id}
    assert 0 < len(roots) <= meter._nodes["decisions"]["rows_in"]
    for trace_id, root in roots.items():
        told = {each.key: each.value for each in root.attributes}
        assert root.name == "decision"
        assert told["mevflow.decision_id"].string_value == trace_id.hex()
        assert 0 < told["mevflow.propensity"].double_value <= 1
        below = [span for _, span in receiver[1] if span.trace_id == trace_id and span.parent_span_id == root.span_id]
        order = list(dict.fromkeys(span.name for span in sorted(below, key=lambda span: span.start_time_unix_nano)))
        assert order[0] in ("swaps", "updates")
        assert [name for name in order if name in ("found", "decided", "decisions")] == [
            "found",
            "decided",
            "decisions",
        ]
        assert all(root.start_time_unix_nano <= span.start_time_unix_nano for span in below)
        assert all(span.end_time_unix_nano <= root.end_time_unix_nano for span in below)
    assert {resource["service.name"] for resource, _ in receiver[1]} == {"mevflow-shard"}


def test_the_same_decisions_are_chosen_everywhere(receiver):
    ids = [bytes([number]) * 16 for number in range(1, 200)]
    for batches in ([ids], [ids[:7], ids[7:]]):
        traces = traced(receiver, 0.05)
        for batch in batches:
            traces.called("swaps", 0.001)
            traces.decided(decisions(*batch))
        traces.close()
    chosen = [span.trace_id for _, span in receiver[1] if not span.parent_span_id]
    expected = [each for each in ids if int.from_bytes(each[8:], "big") <= 0.05 * 2**64]
    assert sorted(chosen) == sorted(2 * expected)


def test_calls_and_traces_of_a_stretch_are_bounded(receiver):
    traces = traced(receiver, 1.0)
    traces.called("swaps", 0.001)
    for number in range(1, 3001):
        traces.called("found", 0.001)
        traces.decided(decisions(number.to_bytes(16, "big")))
    traces.close()
    roots = [span for _, span in receiver[1] if not span.parent_span_id]
    assert 0 < len(roots) <= 16
    assert len(receiver[1]) <= 16 * 257


def test_a_collector_that_is_away_costs_nothing_but_the_traces():
    traces = DecisionTraces(Tracing("http://127.0.0.1:9/v1/traces", 1.0).begin({}), 1.0, {"swaps"}.__contains__)
    for number in range(100):
        traces.called("swaps", 0.001)
        traces.decided(decisions(number.to_bytes(16, "big")))
    traces.close()
