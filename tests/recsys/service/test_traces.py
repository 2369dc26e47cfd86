"""A trace of a request has a span for each stage, below that of the caller, and names nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.testclient import TestClient

from recsys.service.app import application
from recsys.service.traces.spans import Traces, traced
from recsys.settings.serve import ServeConfig
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import HERE, Serve

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(scope="module")
def traced_client(_ready: Place, kept: InMemorySpanExporter) -> Iterator[TestClient]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    config = _ready.settings.serve.model_copy(update={"budget_ms": 10_000.0})
    app = application(_ready.workspace, _ready.settings.model_copy(update={"serve": config}), Traces(provider))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client
    provider.shutdown()


@pytest.fixture(autouse=True)
def _empty(kept: InMemorySpanExporter) -> None:
    kept.clear()


@pytest.mark.parametrize(
    ("path", "body", "stages"),
    [
        ("/v1/recommend", {"user": "user-03"}, ["waiting", "retrieval", "ranking", "telling"]),
        ("/v1/search", {"text": "tea", "user": "user-03"}, ["waiting", "retrieval", "ranking", "telling"]),
        ("/v1/similar", {"item": "sku-07"}, ["waiting", "retrieval"]),
    ],
)
def test_each_stage_is_a_span(
    traced_client: TestClient, kept: InMemorySpanExporter, path: str, body: dict[str, Any], stages: list[str]
) -> None:
    answer = traced_client.post(path, json=body, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    finished: tuple[Any, ...] = kept.get_finished_spans()
    *parts, request = finished
    assert [part.name for part in parts] == stages == list(answer.json()["stages"])
    assert request.name == f"POST {path}"
    assert request.parent is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, CALLER)
    for part in parts:
        assert part.parent is not None
        assert part.parent.span_id == request.context.span_id
        took = (part.end_time - part.start_time) / 1e6
        assert took == pytest.approx(answer.json()["stages"][part.name], abs=0.01)
        assert part.end_time <= request.end_time
    about = dict(request.attributes or {})
    assert about.pop("recsys.bundle_id") == answer.json()["bundle_id"]
    assert about == {"http.request.method": "POST", "http.route": path, "http.response.status_code": 200, "recsys.degraded": False}
    assert "user-03" not in str([span.to_json() for span in kept.get_finished_spans()])


def test_a_refusal_has_a_span_and_a_failure_is_an_error(
    traced_client: TestClient, kept: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced_client.post("/v1/recommend", json={"k": 0})
    monkeypatch.setattr("recsys.service.routes.check_k", lambda *_: 1 / 0)
    traced_client.post("/v1/recommend", json={})
    finished: tuple[Any, ...] = kept.get_finished_spans()
    refused, failed = finished
    assert (refused.attributes["http.response.status_code"], refused.status.status_code) == (422, StatusCode.UNSET)
    assert (failed.attributes["http.response.status_code"], failed.status.status_code) == (500, StatusCode.ERROR)


def test_health_checks_leave_no_trace(traced_client: TestClient, kept: InMemorySpanExporter) -> None:
    traced_client.get("/healthz")
    assert kept.get_finished_spans() == ()


def test_off_by_default(ready: Place, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert not traced(ServeConfig())
    assert traced(ServeConfig(traces=True))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert traced(ServeConfig())
    app: Any = serve(ready).app
    assert app._traces is None
