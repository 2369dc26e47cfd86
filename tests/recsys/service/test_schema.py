"""Requests that schemathesis generates from /openapi.json: every answer is one that it documents, and none is a 5xx."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from recsys.service.app import application
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import listening

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
CHECKS: list[Any] = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def url(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on a socket, over a copy of the shop: the requests store events and erase users."""
    place = Place(tmp_path_factory.mktemp("schema") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder)
    config = place.settings.serve.model_copy(update={"budget_ms": 10_000.0})
    app = application(place.workspace, place.settings.model_copy(update={"serve": config}))
    with listening(app) as address:
        yield address


def test_every_answer_is_one_that_is_documented(url: str) -> None:
    tried = set()
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=15, derandomize=True, database=None, suppress_health_check=SLOW, phases=[Phase.explicit, Phase.generate])
        @given(case=operation.as_strategy())
        def asks(case: schemathesis.Case) -> None:
            tried.add(case.operation.path)
            case.call_and_validate(checks=CHECKS)

        asks()
    assert {"/v1/recommend", "/v1/similar", "/v1/search", "/v1/suggest", "/v1/assistant", "/v1/events", "/v1/users/{user_id}"} <= tried
