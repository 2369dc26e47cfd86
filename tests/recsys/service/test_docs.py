"""The examples of docs/service.md work."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client import REGISTRY

from recsys.service import metrics
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve

PAGE = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")


def test_every_curl_is_answered(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    calls = re.findall(r"^curl (?:-X (DELETE) )?localhost:8000(\S+)(?:.* -d '(.*)')?$", PAGE, re.MULTILINE)
    assert len(calls) == PAGE.count("\ncurl ") >= 7
    for verb, path, body in calls:
        response = client.request(verb or "POST", path, json=json.loads(body) if body else None)
        assert response.status_code in (200, 202), (path, body, response.text)
        assert response.json().keys() >= {"bundle_id", "degraded", "stages"}


def test_every_metric_has_a_row() -> None:
    ours = {
        f"{name}_total" if family.type == "counter" else name
        for family in REGISTRY.collect()
        if (name := family.name).startswith("recsys_")
    }
    assert metrics.SWAPS
    assert ours == set(re.findall(r"^\| `(recsys_\w+)` \|", PAGE, re.MULTILINE))


def test_every_route_has_a_row(spare: Place, serve: Serve) -> None:
    paths = serve(spare).get("/openapi.json").json()["paths"]
    assert {path.replace("{user_id}", "{id}") for path in paths} <= set(re.findall(r"`[A-Z]+ (/[^`]+)`", PAGE))
