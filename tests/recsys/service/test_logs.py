"""What the service says of people: nothing but a salted hash."""

from __future__ import annotations

import json
import logging

import pytest

from recsys.service.logs import JsonFormatter, pseudonym, salt_of
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve

SECRET = "user-01"


def test_a_user_is_a_salted_hash_and_a_body_is_nowhere(spare: Place, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "recsys"):
        client = serve(spare)
        caplog.clear()
        client.post("/v1/recommend", json={"user": SECRET, "history": ["sku-07"]})
        client.post("/v1/recommend", json={"user": SECRET, "k": -1})
        client.post("/v1/search", json={"text": f"gift for {SECRET}"})
        client.post("/v1/events", json={"events": [{"user": SECRET, "item": "sku-07"}]})
        client.post("/v1/events", content=SECRET.encode())
        client.get(f"/v1/users/{SECRET}")
        client.delete(f"/v1/users/{SECRET}")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    text = json.dumps(lines)
    assert SECRET not in text
    assert "sku-07" not in text
    requests = [line for line in lines if line["message"] == "request"]
    assert [line["status"] for line in requests] == [200, 422, 200, 202, 422, 405, 200]
    hashed = pseudonym(SECRET, salt_of(spare.workspace.service / "salt"))
    assert [line.get("user") for line in requests] == [hashed, None, None, None, None, None, hashed]
    assert requests[0]["route"] == "/v1/recommend"
    assert requests[0]["bundle_id"]
    assert requests[0]["stages"]["retrieval"] > 0
    assert requests[-1]["route"] == "/v1/users/{user_id:path}"


def test_another_workspace_has_another_salt(tmp_path) -> None:
    salts = [salt_of(tmp_path / name) for name in ("one", "other", "one")]
    assert salts[0] == salts[2] != salts[1]
    assert len({pseudonym(SECRET, salt) for salt in salts}) == 2
