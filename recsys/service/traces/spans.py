"""Sends a trace of each request with a span for each stage, by OpenTelemetry. The extra `[trace]` brings the libraries.

A span has the route's pattern, the status, the bundle and whether the answer is degraded: no ids, keys or words.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.trace import Span, Tracer, TracerProvider

    from recsys.settings.serve import ServeConfig

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
NOTED = ("bundle_id", "degraded")  # of what a route notes for the log


def traced(config: ServeConfig) -> bool:
    """Return whether traces are wanted."""
    return config.traces or any(os.environ.get(name) for name in ENDPOINTS)


@dataclass(frozen=True)
class Traces:
    """Where spans go."""

    provider: TracerProvider

    @classmethod
    def exported(cls) -> Traces:
        """Return traces that are sent by OTLP over HTTP; the variables OTEL_* say where to, and what part of them.

        Raises
        ------
        ModuleNotFoundError
            The extra `[trace]` is not installed.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or "recsys"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> RequestSpan:
        """Begin the span of a request, below that of its caller where the header `traceparent` names one."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        tracer = self.provider.get_tracer("recsys")
        carrier = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        caller = TraceContextTextMapPropagator().extract(carrier)
        return RequestSpan(tracer, tracer.start_span("request", caller, SpanKind.SERVER))


@dataclass(frozen=True)
class RequestSpan:
    """The span of one request, which those of its stages stand below."""

    tracer: Tracer
    span: Span

    def stage(self, name: str, seconds: float) -> None:
        """Add a stage that has just ended."""
        from opentelemetry.trace import set_span_in_context

        end = time.time_ns()
        self.tracer.start_span(name, set_span_in_context(self.span), start_time=end - int(1e9 * seconds)).end(end)

    def end(self, method: str, route: str, status: int, noted: Mapping[str, Any]) -> None:
        """End the span; the route is known by now."""
        from opentelemetry.trace import StatusCode

        self.span.update_name(f"{method} {route}")
        self.span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        self.span.set_attributes({f"recsys.{name}": noted[name] for name in NOTED if name in noted})
        if status >= 500 or not status:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()
