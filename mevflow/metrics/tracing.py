"""A share of the decisions as OpenTelemetry traces: where they go, and the exporter, by the extra ``otel``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mevflow.operators.errors import UsageError

#: How long a collector may take for a batch, with what is tried again.
_PATIENCE_S = 2
_MISSING = "traces need OpenTelemetry's SDK and its OTLP exporter over HTTP"
_HINT = "pip install 'mevflow[otel]', or set tracing.sample to 0"


class Span(msgspec.Struct, frozen=True):
    """One call of a node; times in nanoseconds since 1970."""

    name: str
    start_ns: int
    end_ns: int


class Tracing(msgspec.Struct, frozen=True):
    """``endpoint``: the URL that takes OTLP over HTTP. ``sample``: the share of decisions, above 0 up to 1."""

    endpoint: str
    sample: float

    def check(self) -> None:
        """Raise UsageError when the libraries are not installed."""
        try:
            import opentelemetry.exporter.otlp.proto.http
            import opentelemetry.sdk.trace  # noqa: F401
        except ImportError:
            raise UsageError(_MISSING, hint=_HINT, key="tracing.sample") from None

    def begin(self, resource: Mapping[str, str]) -> Exporter:
        """Open the exporter of one process. Raises UsageError when the libraries are not installed."""
        self.check()
        return Exporter(self.endpoint, resource)


class Exporter:
    """Hands traces to a thread that sends them in batches; what the collector does not take in time is dropped."""

    def __init__(self, endpoint: str, resource: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class Chosen(IdGenerator):
            """The trace's id is the decision's; spans have random ones."""

            trace_id = 0
            _random = RandomIdGenerator()

            def generate_trace_id(self) -> int:
                return self.trace_id

            def generate_span_id(self) -> int:
                return self._random.generate_span_id()

        self._ids = Chosen()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create(dict(resource)), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_PATIENCE_S)))
        self._tracer = self._provider.get_tracer("mevflow")

    def trace(self, trace_id: int, name: str, attributes: Mapping[str, Any], spans: list[Span]) -> None:
        """One trace: a root from the first span's start to the last one's end, and the spans below it."""
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        self._ids.trace_id = trace_id
        start = min(span.start_ns for span in spans)
        root = self._tracer.start_span(name, context=Context(), start_time=start, attributes=dict(attributes))
        below = set_span_in_context(root, Context())
        for span in spans:
            self._tracer.start_span(span.name, context=below, start_time=span.start_ns).end(span.end_ns)
        root.end(max(span.end_ns for span in spans))

    def close(self) -> None:
        """Send what waits; a collector that does not answer is not waited for long."""
        self._provider.force_flush(1000 * _PATIENCE_S)
        self._provider.shutdown()
