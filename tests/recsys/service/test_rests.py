"""Those who are being answered come first: what is done beside them rests."""

from __future__ import annotations

import time

import pytest

from recsys.service.admission import REST_SECONDS
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each rest would have been."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def test_turning_away_rests_and_answering_does_not(ready: Place, serve: Serve, rests: list[float]) -> None:
    client = serve(ready, max_body_kib=1, poll_seconds=60)
    assert client.post("/v1/recommend", json={"user": "user-01"}).status_code == 200
    assert REST_SECONDS not in rests
    assert client.post("/v1/recommend", content=b"x" * 2048).status_code == 413
    assert REST_SECONDS in rests
